"""Screen presence: each moment counts once, and the parts add up to the total."""

from typing import Literal

from hypothesis import given
from hypothesis import strategies as st

from filmgate.media.spans import Span
from filmgate.pipelines.episode.rules.screen_presence import (
    PresenceSpan,
    common_ms,
    count_appearances,
    merge_evidence,
    merge_spans,
    total_ms,
)

SHOTS = [Span(start_ms=start, end_ms=start + 1000) for start in range(0, 10_000, 1000)]


def presence(
    start: int, end: int, evidence: Literal["face", "body"], track: str | None = "t"
) -> PresenceSpan:
    span = Span(start_ms=start, end_ms=end)
    return PresenceSpan(span=span, evidence=evidence, track_id=track, confidence=None)


presences = st.lists(
    st.builds(
        lambda start, length, evidence: presence(start, min(start + length, 10_000), evidence),
        st.integers(0, 9_999),
        st.integers(0, 3_000),
        st.sampled_from(["face", "body"]),
    ),
    max_size=12,
)


def moments(found: list[PresenceSpan], evidence: str) -> set[int]:
    """Return every millisecond with this evidence; sampling would miss the edges of spans."""
    return {
        ms
        for each in found
        if each.evidence == evidence
        for ms in range(each.span.start_ms, each.span.end_ms)
    }


@given(presences, st.integers(0, 1500))
def test_merged_spans_are_disjoint_and_cover_exactly_the_evidence(
    evidence: list[PresenceSpan], bridge_ms: int
) -> None:
    found = merge_evidence(evidence, SHOTS, bridge_ms)
    assert total_ms(found) == len(
        set().union(*(moments(found, e) for e in ("face", "body", "bridged")))
    )
    assert moments(found, "face") == moments(evidence, "face")
    assert moments(found, "body") == moments(evidence, "body") - moments(evidence, "face")
    assert found == sorted(found, key=lambda each: each.span)


@given(presences, st.integers(0, 1500))
def test_only_short_gaps_inside_a_shot_are_bridged(
    evidence: list[PresenceSpan], bridge_ms: int
) -> None:
    found = merge_evidence(evidence, SHOTS, bridge_ms)
    seen = moments(evidence, "face") | moments(evidence, "body")
    for each in found:
        if each.evidence == "bridged":
            assert 0 < each.span.duration_ms <= bridge_ms
            assert not seen & set(range(each.span.start_ms, each.span.end_ms))
            first, last = (each.span.start_ms - 1) // 1000, each.span.end_ms // 1000
            assert first == last


@given(presences)
def test_the_durations_by_evidence_add_up_to_the_total(evidence: list[PresenceSpan]) -> None:
    found = merge_evidence(evidence, SHOTS, 500)
    parts = [total_ms(found, each) for each in ("face", "body", "bridged")]
    assert sum(parts) == total_ms(found)


def test_a_gap_across_a_cut_is_not_screen_time() -> None:
    evidence = [presence(500, 900, "face"), presence(1100, 1500, "face")]
    assert total_ms(merge_evidence(evidence, SHOTS, 1000)) == 800
    inside = [presence(100, 400, "face"), presence(600, 900, "face")]
    assert total_ms(merge_evidence(inside, SHOTS, 1000)) == 800


@given(presences, presences)
def test_common_time_of_two_lists_is_counted_once(
    one: list[PresenceSpan], other: list[PresenceSpan]
) -> None:
    one_spans, other_spans = (merge_spans(each.span for each in both) for both in (one, other))
    each_ms = [
        set().union(*(range(s.start_ms, s.end_ms) for s in spans))
        for spans in (one_spans, other_spans)
    ]
    assert (
        common_ms(one_spans, other_spans)
        == common_ms(other_spans, one_spans)
        == len(each_ms[0] & each_ms[1])
    )


def test_thousands_of_tracks_are_merged_quickly() -> None:
    many = [presence(n, n + 5, "face") for n in range(0, 200_000, 10)]
    many += [presence(n, n + 9, "body") for n in range(0, 200_000, 10)]
    shots = [Span(start_ms=0, end_ms=200_000)]
    assert total_ms(merge_evidence(many, shots, 0)) == 20_000 * 9


def test_an_appearance_continues_across_changes_of_evidence() -> None:
    evidence = [presence(0, 400, "face"), presence(300, 700, "body"), presence(5000, 5100, "face")]
    assert count_appearances(merge_evidence(evidence, SHOTS, 0)) == 2
    assert count_appearances([]) == 0
