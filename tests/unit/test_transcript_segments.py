"""Conversion of subtitle cues to segments inside the media."""

from hypothesis import given
from hypothesis import strategies as st

from filmgate.media.spans import Span
from filmgate.pipelines.episode.stages.transcript import convert_cues
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
def test_segments_are_inside_the_media_and_ordered_and_every_cue_is_accounted_for(
    all_cues: list[Cue],
) -> None:
    segments, faults = convert_cues(all_cues, WHOLE, "en")
    assert all(0 <= s.start_ms <= s.end_ms <= WHOLE.end_ms for s in segments)
    assert segments == sorted(segments, key=lambda timed: timed.sort_key)
    silent = sum(not cue.text for cue in all_cues)
    lost = silent + faults["turned_around"] + faults["outside"]
    assert len(segments) + lost == len(all_cues)


def test_a_cue_beyond_the_end_is_clamped_and_counted() -> None:
    cue = Cue(start_ms=9_000, end_ms=12_000, text="late", speaker="Ann")
    segments, faults = convert_cues([cue], WHOLE, None)
    assert [(s.start_ms, s.end_ms) for s in segments] == [(9_000, 10_000)]
    assert faults == {"turned_around": 0, "outside": 0, "clamped": 1}
