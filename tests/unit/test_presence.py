"""Screen time: each moment counted once, and everything adds up."""

from typing import Literal

from hypothesis import given
from hypothesis import strategies as st

from filmgate.media.spans import Span
from filmgate.pipelines.episode.rules.presence import (
    Piece,
    appearances,
    common_ms,
    joined,
    put_together,
    total_ms,
)

SHOTS = [Span(start_ms=start, end_ms=start + 1000) for start in range(0, 10_000, 1000)]


def piece(
    start: int, end: int, evidence: Literal["face", "body"], track: str | None = "t"
) -> Piece:
    span = Span(start_ms=start, end_ms=end)
    return Piece(span=span, evidence=evidence, track_id=track, confidence=None)


pieces = st.lists(
    st.builds(
        lambda start, length, evidence: piece(start, min(start + length, 10_000), evidence),
        st.integers(0, 9_999),
        st.integers(0, 3_000),
        st.sampled_from(["face", "body"]),
    ),
    max_size=12,
)


def moments(found: list[Piece], evidence: str) -> set[int]:
    """Every tenth millisecond would miss edges; every one is cheap enough."""
    return {
        ms
        for each in found
        if each.evidence == evidence
        for ms in range(each.span.start_ms, each.span.end_ms)
    }


@given(pieces, st.integers(0, 1500))
def test_pieces_are_disjoint_and_tell_all_that_was_seen_and_no_more(
    evidence: list[Piece], bridge_ms: int
) -> None:
    found = put_together(evidence, SHOTS, bridge_ms)
    assert total_ms(found) == len(
        set().union(*(moments(found, e) for e in ("face", "body", "bridged")))
    )
    assert moments(found, "face") == moments(evidence, "face")
    assert moments(found, "body") == moments(evidence, "body") - moments(evidence, "face")
    assert found == sorted(found, key=lambda each: each.span)


@given(pieces, st.integers(0, 1500))
def test_only_short_gaps_inside_a_shot_are_bridged(evidence: list[Piece], bridge_ms: int) -> None:
    found = put_together(evidence, SHOTS, bridge_ms)
    seen = moments(evidence, "face") | moments(evidence, "body")
    for each in found:
        if each.evidence == "bridged":
            assert 0 < each.span.duration_ms <= bridge_ms
            assert not seen & set(range(each.span.start_ms, each.span.end_ms))
            first, last = (each.span.start_ms - 1) // 1000, each.span.end_ms // 1000
            assert first == last


@given(pieces)
def test_the_parts_add_up_to_the_whole(evidence: list[Piece]) -> None:
    found = put_together(evidence, SHOTS, 500)
    parts = [total_ms(found, each) for each in ("face", "body", "bridged")]
    assert sum(parts) == total_ms(found)


def test_a_gap_across_a_cut_is_no_screen_time() -> None:
    evidence = [piece(500, 900, "face"), piece(1100, 1500, "face")]
    assert total_ms(put_together(evidence, SHOTS, 1000)) == 800
    inside = [piece(100, 400, "face"), piece(600, 900, "face")]
    assert total_ms(put_together(inside, SHOTS, 1000)) == 800


@given(pieces, pieces)
def test_what_two_have_in_common_is_counted_once(one: list[Piece], other: list[Piece]) -> None:
    mine, theirs = (joined(each.span for each in both) for both in (one, other))
    each_ms = [
        set().union(*(range(s.start_ms, s.end_ms) for s in spans)) for spans in (mine, theirs)
    ]
    assert common_ms(mine, theirs) == common_ms(theirs, mine) == len(each_ms[0] & each_ms[1])


def test_thousands_of_tracks_are_put_together_while_one_waits() -> None:
    many = [piece(n, n + 5, "face") for n in range(0, 200_000, 10)]
    many += [piece(n, n + 9, "body") for n in range(0, 200_000, 10)]
    shots = [Span(start_ms=0, end_ms=200_000)]
    assert total_ms(put_together(many, shots, 0)) == 20_000 * 9


def test_stretches_are_counted_across_changes_of_evidence() -> None:
    evidence = [piece(0, 400, "face"), piece(300, 700, "body"), piece(5000, 5100, "face")]
    assert appearances(put_together(evidence, SHOTS, 0)) == 2
    assert appearances([]) == 0
