"""Time spans in whole milliseconds, and their overlap."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, order=True)
class Span:
    """The time [start_ms, end_ms) in milliseconds; an instant if both are equal."""

    start_ms: int
    end_ms: int

    def __post_init__(self) -> None:
        if self.start_ms > self.end_ms:
            raise ValueError(f"span ends before it starts: got {self.start_ms}–{self.end_ms} ms")

    @property
    def duration_ms(self) -> int:
        """Duration in milliseconds; 0 for an instant."""
        return self.end_ms - self.start_ms

    def clamped(self, within: "Span") -> "Span | None":
        """Return the part of this span inside `within`; None if no part is."""
        start = max(self.start_ms, within.start_ms)
        end = min(self.end_ms, within.end_ms)
        return Span(start_ms=start, end_ms=end) if start <= end else None


def shared_ms(one: Span, other: Span) -> int:
    """Duration of the overlap of two spans, in milliseconds."""
    return max(0, min(one.end_ms, other.end_ms) - max(one.start_ms, other.start_ms))


def overlapping(one: Sequence[Span], other: Sequence[Span]) -> Iterator[tuple[int, int]]:
    """Yield the indices of every pair that overlaps. Each list is disjoint and ordered by time."""
    first = 0
    for index, span in enumerate(one):
        while first < len(other) and other[first].end_ms <= span.start_ms:
            first += 1
        match = first
        while match < len(other) and other[match].start_ms < span.end_ms:
            yield index, match
            match += 1
