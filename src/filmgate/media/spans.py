"""Spans of time in whole milliseconds, and what it means for two to overlap."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, order=True)
class Span:
    """From `start_ms` up to, not including, `end_ms`; an instant where they are equal."""

    start_ms: int
    end_ms: int

    def __post_init__(self) -> None:
        if self.start_ms > self.end_ms:
            raise ValueError(f"a span starts before it ends, got {self.start_ms}–{self.end_ms} ms")

    @property
    def duration_ms(self) -> int:
        """How long it lasts; 0 for an instant."""
        return self.end_ms - self.start_ms

    def overlaps(self, other: "Span") -> bool:
        """Whether any moment of this span lies in `other`.

        Spans overlap where start < other end and end > other start; an instant counts where
        other start ≤ instant < other end.
        """
        if self.start_ms == self.end_ms:
            return other.start_ms <= self.start_ms < other.end_ms
        return self.start_ms < other.end_ms and self.end_ms > other.start_ms

    def clamped(self, within: "Span") -> "Span | None":
        """The part of this span inside `within`; None where nothing of it is."""
        start = max(self.start_ms, within.start_ms)
        end = min(self.end_ms, within.end_ms)
        return Span(start_ms=start, end_ms=end) if start <= end else None


def shared_ms(one: Span, other: Span) -> int:
    """How long two spans last together."""
    return max(0, min(one.end_ms, other.end_ms) - max(one.start_ms, other.start_ms))
