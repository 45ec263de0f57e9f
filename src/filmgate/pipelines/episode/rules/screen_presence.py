"""Screen presence: merges spans of evidence so that each moment counts once, by the best evidence.

Definitions. A person is on screen while their face is visible (`face`: from the first to the last
detection of one of their tracks), while their head is followed or their body is visible without a
face (`body`), and in short gaps between these inside one shot (`bridged`). The three never
overlap, so they add up to the total.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

from filmgate.media.spans import Span, overlapping, shared_ms

Evidence = Literal["face", "body", "bridged"]


@dataclass(frozen=True, kw_only=True)
class PresenceSpan:
    """A span in which a person is on screen, with its evidence."""

    span: Span
    evidence: Evidence
    track_id: str | None
    """Track of the face or body; None if bridged."""
    confidence: float | None


def merge_evidence(
    evidence: Sequence[PresenceSpan], shots: Sequence[Span], bridge_ms: int
) -> list[PresenceSpan]:
    """Merge evidence into disjoint spans, ordered by time.

    Faces take precedence over bodies; then short gaps are bridged. `evidence`: spans of faces and
    bodies, which may overlap. `shots`: adjoining, ordered by time.
    """
    found: list[PresenceSpan] = []
    for kind in ("face", "body"):
        of_kind = sorted((item for item in evidence if item.evidence == kind), key=_sort_key)
        found = sorted([*found, *_subtract_covered(of_kind, found)], key=_sort_key)
    bridges = [
        PresenceSpan(span=gap, evidence="bridged", track_id=None, confidence=None)
        for before, after in pairwise(found)
        if (gap := _bridgeable_gap(before.span, after.span, shots, bridge_ms)) is not None
    ]
    return sorted(found + bridges, key=_sort_key)


def total_ms(presences: Iterable[PresenceSpan], evidence: Evidence | None = None) -> int:
    """Total duration in ms, optionally of one kind of evidence only."""
    return sum(item.span.duration_ms for item in presences if evidence in {None, item.evidence})


def common_ms(one: Sequence[Span], other: Sequence[Span]) -> int:
    """Total time in ms that both lists cover. Each is disjoint and ordered by time."""
    return sum(shared_ms(one[i], other[j]) for i, j in overlapping(one, other))


def merge_spans(spans: Iterable[Span]) -> list[Span]:
    """Merge overlapping and adjoining spans into disjoint ones, ordered by time."""
    found: list[Span] = []
    for span in sorted(spans):
        if found and span.start_ms <= found[-1].end_ms:
            last = found.pop()
            end_ms = max(last.end_ms, span.end_ms)
            found.append(Span(start_ms=last.start_ms, end_ms=end_ms))
        else:
            found.append(span)
    return found


def count_appearances(presences: Sequence[PresenceSpan]) -> int:
    """Count the appearances of a person: groups of adjoining presences, separated by gaps."""
    gaps = sum(after.span.start_ms > before.span.end_ms for before, after in pairwise(presences))
    return gaps + bool(presences)


def _sort_key(presence: PresenceSpan) -> tuple[Span, str]:
    return (presence.span, presence.track_id or "")


def _subtract_covered(
    presences: Sequence[PresenceSpan], covered: Sequence[PresenceSpan]
) -> Iterator[PresenceSpan]:
    """Yield the parts of `presences` that neither `covered` nor an earlier presence covers.

    Both are ordered by time; `covered` is disjoint.
    """
    free_ms, first = 0, 0
    for presence in presences:
        start_ms = max(presence.span.start_ms, free_ms)
        while first < len(covered) and covered[first].span.end_ms <= start_ms:
            first += 1
        index = first
        while start_ms < presence.span.end_ms:
            is_last = index >= len(covered) or covered[index].span.start_ms >= presence.span.end_ms
            end_ms = presence.span.end_ms if is_last else covered[index].span.start_ms
            if start_ms < end_ms:
                yield replace(presence, span=Span(start_ms=start_ms, end_ms=end_ms))
            start_ms = end_ms if is_last else max(end_ms, covered[index].span.end_ms)
            index += 1
        free_ms = max(free_ms, presence.span.end_ms)


def _bridgeable_gap(
    before: Span, after: Span, shots: Sequence[Span], bridge_ms: int
) -> Span | None:
    """Return the gap between two spans if it is short and contains no cut, else None."""
    gap_ms = after.start_ms - before.end_ms
    if not 0 < gap_ms <= bridge_ms or _shot_number(before.end_ms - 1, shots) != _shot_number(
        after.start_ms, shots
    ):
        return None
    return Span(start_ms=before.end_ms, end_ms=after.start_ms)


def _shot_number(ms: int, shots: Sequence[Span]) -> int:
    """Number of the shot that contains the time `ms`."""
    return bisect_right(shots, ms, key=lambda shot: shot.start_ms)
