"""Screen time: spans of evidence put together, each moment counted once, for its best reason.

Definitions. A person is on screen while their face is seen (from the first to the last detection
of a track of theirs), while their head is followed or their body is seen without it (`body`), and
in gaps of these that are short and lie inside one shot (`bridged`). The three never overlap, so
that they add up to the whole.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from filmgate.media.spans import Span

Evidence = Literal["face", "body", "bridged"]


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A stretch in which somebody is on screen, and why that is said."""

    span: Span
    evidence: Evidence
    track_id: str | None
    """None where it is bridged."""
    confidence: float | None


def put_together(evidence: Iterable[Piece], shots: Sequence[Span], bridge_ms: int) -> list[Piece]:
    """Disjoint pieces in order of time: faces before bodies, then gaps bridged.

    `evidence`: faces and bodies, overlapping as they may. `shots`: in order, adjoining.
    """
    ordered = sorted(
        evidence,
        key=lambda each: (each.evidence != "face", each.span, each.track_id or ""),
    )
    pieces: list[Piece] = []
    for each in ordered:
        pieces += [_part(each, span) for span in _uncovered(each.span, pieces)]
    pieces.sort(key=lambda each: each.span)
    bridges = [
        Piece(span=gap, evidence="bridged", track_id=None, confidence=None)
        for before, after in pairwise(pieces)
        if (gap := _bridge(before.span, after.span, shots, bridge_ms)) is not None
    ]
    return sorted(pieces + bridges, key=lambda each: each.span)


def total_ms(pieces: Iterable[Piece], evidence: Evidence | None = None) -> int:
    """How long they last together; those of one kind of evidence where it is named."""
    return sum(each.span.duration_ms for each in pieces if evidence in {None, each.evidence})


def appearances(pieces: Sequence[Piece]) -> int:
    """How many stretches without a gap."""
    apart = sum(after.span.start_ms > before.span.end_ms for before, after in pairwise(pieces))
    return apart + bool(pieces)


def _part(piece: Piece, span: Span) -> Piece:
    return Piece(
        span=span,
        evidence=piece.evidence,
        track_id=piece.track_id,
        confidence=piece.confidence,
    )


def _uncovered(span: Span, pieces: Iterable[Piece]) -> list[Span]:
    """What of a span no piece covers yet."""
    left = [span] if span.duration_ms else []
    for piece in pieces:
        covered = piece.span
        left = [
            Span(start_ms=start, end_ms=end)
            for each in left
            for start, end in (
                (each.start_ms, min(each.end_ms, covered.start_ms)),
                (max(each.start_ms, covered.end_ms), each.end_ms),
            )
            if start < end
        ]
    return left


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
