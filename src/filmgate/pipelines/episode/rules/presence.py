"""Screen time: spans of evidence put together, each moment counted once, for its best reason.

Definitions. A person is on screen while their face is seen (from the first to the last detection
of a track of theirs), while their head is followed or their body is seen without it (`body`), and
in gaps of these that are short and lie inside one shot (`bridged`). The three never overlap, so
that they add up to the whole.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

from filmgate.media.spans import Span, shared_ms

Evidence = Literal["face", "body", "bridged"]


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A stretch in which somebody is on screen, and why that is said."""

    span: Span
    evidence: Evidence
    track_id: str | None
    """None where it is bridged."""
    confidence: float | None


def put_together(evidence: Sequence[Piece], shots: Sequence[Span], bridge_ms: int) -> list[Piece]:
    """Disjoint pieces in order of time: faces before bodies, then gaps bridged.

    `evidence`: faces and bodies, overlapping as they may. `shots`: in order, adjoining.
    """
    found: list[Piece] = []
    for kind in ("face", "body"):
        own = sorted((each for each in evidence if each.evidence == kind), key=_place)
        found = sorted([*found, *_uncovered(own, found)], key=_place)
    bridges = [
        Piece(span=gap, evidence="bridged", track_id=None, confidence=None)
        for before, after in pairwise(found)
        if (gap := _bridge(before.span, after.span, shots, bridge_ms)) is not None
    ]
    return sorted(found + bridges, key=_place)


def total_ms(pieces: Iterable[Piece], evidence: Evidence | None = None) -> int:
    """How long they last together; those of one kind of evidence where it is named."""
    return sum(each.span.duration_ms for each in pieces if evidence in {None, each.evidence})


def common_ms(one: Sequence[Span], other: Sequence[Span]) -> int:
    """How long spans of both are together. Both in order of time, each disjoint."""
    total = first = 0
    for span in one:
        while first < len(other) and other[first].end_ms <= span.start_ms:
            first += 1
        index = first
        while index < len(other) and other[index].start_ms < span.end_ms:
            total += shared_ms(span, other[index])
            index += 1
    return total


def joined(spans: Iterable[Span]) -> list[Span]:
    """The same moments in disjoint spans, in order of time."""
    found: list[Span] = []
    for span in sorted(spans):
        if found and span.start_ms <= found[-1].end_ms:
            last = found.pop()
            end_ms = max(last.end_ms, span.end_ms)
            found.append(Span(start_ms=last.start_ms, end_ms=end_ms))
        else:
            found.append(span)
    return found


def appearances(pieces: Sequence[Piece]) -> int:
    """How many stretches without a gap."""
    apart = sum(after.span.start_ms > before.span.end_ms for before, after in pairwise(pieces))
    return apart + bool(pieces)


def _place(piece: Piece) -> tuple[Span, str]:
    return (piece.span, piece.track_id or "")


def _uncovered(pieces: Sequence[Piece], covered: Sequence[Piece]) -> Iterator[Piece]:
    """What of the pieces neither `covered` nor an earlier one of them covers. Both in order of
    time; `covered` is disjoint."""
    free_ms, first = 0, 0
    for piece in pieces:
        start_ms = max(piece.span.start_ms, free_ms)
        while first < len(covered) and covered[first].span.end_ms <= start_ms:
            first += 1
        index = first
        while start_ms < piece.span.end_ms:
            is_last = index >= len(covered) or covered[index].span.start_ms >= piece.span.end_ms
            end_ms = piece.span.end_ms if is_last else covered[index].span.start_ms
            if start_ms < end_ms:
                yield replace(piece, span=Span(start_ms=start_ms, end_ms=end_ms))
            start_ms = end_ms if is_last else max(end_ms, covered[index].span.end_ms)
            index += 1
        free_ms = max(free_ms, piece.span.end_ms)


def _bridge(before: Span, after: Span, shots: Sequence[Span], bridge_ms: int) -> Span | None:
    """The gap between two pieces, where it is short and no cut lies in it."""
    gap_ms = after.start_ms - before.end_ms
    if not 0 < gap_ms <= bridge_ms or _shot(before.end_ms - 1, shots) != _shot(
        after.start_ms, shots
    ):
        return None
    return Span(start_ms=before.end_ms, end_ms=after.start_ms)


def _shot(ms: int, shots: Sequence[Span]) -> int:
    """The number of the shot that a moment lies in."""
    return bisect_right(shots, ms, key=lambda shot: shot.start_ms)
