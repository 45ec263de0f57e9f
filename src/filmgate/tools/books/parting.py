"""Parting a big book: at its chapters, and where one is too big itself, between pages."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple


class Range(NamedTuple):
    """Pages from first to last, counted from 1."""

    first: int
    last: int


Make = Callable[[Range], bytes]
"""Makes a part of some pages; more pages make no smaller one."""


def chapters(starts: Sequence[int], pages: int) -> list[Range]:
    """The pages of a book, cut where its chapters begin; what is in front is one of them."""
    cuts = sorted({1, *(page for page in starts if 1 <= page <= pages)})
    ends = [cut - 1 for cut in cuts[1:]] + [pages]
    return [Range(*each) for each in zip(cuts, ends, strict=True)]


def parting(ranges: Sequence[Range], make: Make, limit_bytes: int) -> Iterator[tuple[Range, bytes]]:
    """As many chapters together as stay within the limit. One that does not is halved, down to a
    page; a page that is too big alone stays so."""
    at = 0
    while at < len(ranges):
        count, made = _as_many(ranges[at:], make, limit_bytes)
        if count:
            yield Range(ranges[at].first, ranges[at + count - 1].last), made
            at += count
        else:
            yield from _halved(ranges[at], make, limit_bytes)
            at += 1


def _as_many(ranges: Sequence[Range], make: Make, limit_bytes: int) -> tuple[int, bytes]:
    """How many of the chapters fit together, and the part that they make: first twice as many each
    time, then by halves."""

    def tried(count: int) -> bytes | None:
        made = make(Range(ranges[0].first, ranges[count - 1].last))
        return made if len(made) <= limit_bytes else None

    fits, best, fails = 0, b"", len(ranges) + 1
    count = 1
    while count < fails:
        made = tried(count)
        if made is None:
            fails = count
            break
        fits, best = count, made
        count = min(count * 2, len(ranges)) if count < len(ranges) else fails
    while fails - fits > 1:
        middle = (fits + fails) // 2
        made = tried(middle)
        if made is None:
            fails = middle
        else:
            fits, best = middle, made
    return fits, best


def _halved(pages: Range, make: Make, limit_bytes: int) -> list[tuple[Range, bytes]]:
    made = make(pages)
    if len(made) <= limit_bytes or pages.first == pages.last:
        return [(pages, made)]
    middle = (pages.first + pages.last) // 2
    front, back = Range(pages.first, middle), Range(middle + 1, pages.last)
    return [*_halved(front, make, limit_bytes), *_halved(back, make, limit_bytes)]
