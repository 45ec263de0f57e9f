"""Subtitles become segments that lie inside the media."""

from hypothesis import given
from hypothesis import strategies as st

from filmgate.media.spans import Span
from filmgate.pipelines.episode.stages.transcript import segments_from
from filmgate.tools.subtitles import Cue

WHOLE = Span(start_ms=0, end_ms=10_000)
cues = st.builds(
    Cue,
    start_ms=st.integers(-5_000, 20_000),
    end_ms=st.integers(-5_000, 20_000),
    text=st.sampled_from(["", "one", "two words"]),
    speaker=st.none(),
)


@given(st.lists(cues, max_size=20))
def test_segments_lie_inside_the_media_in_order_and_every_cue_is_accounted_for(
    written: list[Cue],
) -> None:
    segments, faults = segments_from(written, WHOLE, "en")
    assert all(0 <= s.start_ms <= s.end_ms <= WHOLE.end_ms for s in segments)
    assert segments == sorted(segments, key=lambda timed: timed.place)
    silent = sum(not cue.text for cue in written)
    lost = silent + faults["turned_around"] + faults["outside"]
    assert len(segments) + lost == len(written)


def test_a_cue_past_the_end_is_clamped_and_said_to_be() -> None:
    cue = Cue(start_ms=9_000, end_ms=12_000, text="late", speaker="Ann")
    segments, faults = segments_from([cue], WHOLE, None)
    assert [(s.start_ms, s.end_ms) for s in segments] == [(9_000, 10_000)]
    assert faults == {"turned_around": 0, "outside": 0, "clamped": 1}
