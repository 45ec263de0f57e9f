"""Parting a big book: at its chapters, and where one is too big itself, between pages."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple


class Range(NamedTuple):
    """Pages from first to last, counted from 1."""

    first: int
    last: int


def chapters(starts: Sequence[int], pages: int) -> list[Range]:
    """The pages of a book, cut where its chapters begin; what is in front is one of them."""
    cuts = sorted({1, *(page for page in starts if 1 <= page <= pages)})
    ends = [cut - 1 for cut in cuts[1:]] + [pages]
    return [Range(*each) for each in zip(cuts, ends, strict=True)]


def parting(
    ranges: Sequence[Range], make: Callable[[Range], bytes], limit_bytes: int
) -> Iterator[tuple[Range, bytes]]:
    """As many chapters together as stay within the limit. One that does not is halved, down to a
    page; a page that is too big alone stays so."""
    held: tuple[Range, bytes] | None = None
    for each in ranges:
        if held is not None:
            both = Range(held[0].first, each.last)
            made = make(both)
            if len(made) <= limit_bytes:
                held = (both, made)
                continue
            yield held
        held = None
        *whole, last = _halved(each, make, limit_bytes)
        yield from whole
        held = last
    if held is not None:
        yield held


def _halved(
    pages: Range, make: Callable[[Range], bytes], limit_bytes: int
) -> list[tuple[Range, bytes]]:
    made = make(pages)
    if len(made) <= limit_bytes or pages.first == pages.last:
        return [(pages, made)]
    middle = (pages.first + pages.last) // 2
    front, back = Range(pages.first, middle), Range(middle + 1, pages.last)
    return [*_halved(front, make, limit_bytes), *_halved(back, make, limit_bytes)]
