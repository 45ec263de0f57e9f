"""Divide a large book into page ranges: at chapters, and within a chapter that is too large."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple


class PageRange(NamedTuple):
    """Pages from first to last, both included, counted from 1."""

    first: int
    last: int


MakePart = Callable[[PageRange], bytes]
"""Makes a file of a range of pages. A longer range must not make a smaller file."""


def chapter_ranges(starts: Sequence[int], pages: int) -> list[PageRange]:
    """Divide a book of `pages` pages where its chapters start.

    The pages before the first chapter are a range too.
    """
    first_pages = sorted({1, *(page for page in starts if 1 <= page <= pages)})
    last_pages = [page - 1 for page in first_pages[1:]] + [pages]
    return [PageRange(first, last) for first, last in zip(first_pages, last_pages, strict=True)]


def split_by_size(
    ranges: Sequence[PageRange], make_part: MakePart, limit_bytes: int
) -> Iterator[tuple[PageRange, bytes]]:
    """Yield parts of as many whole chapters as fit within `limit_bytes`, with their page ranges.

    A chapter that does not fit is halved repeatedly; a single page may exceed the limit.
    """
    index = 0
    while index < len(ranges):
        count, part = _longest_fit(ranges[index:], make_part, limit_bytes)
        if count:
            yield PageRange(ranges[index].first, ranges[index + count - 1].last), part
            index += count
        else:
            yield from _halve(ranges[index], make_part, limit_bytes)
            index += 1


def _longest_fit(
    ranges: Sequence[PageRange], make_part: MakePart, limit_bytes: int
) -> tuple[int, bytes]:
    """Return how many of the first chapters fit into one part, and the part.

    The number is 0 if the first chapter does not fit. It is searched by doubling, then by
    bisection.
    """

    def try_count(count: int) -> bytes | None:
        part = make_part(PageRange(ranges[0].first, ranges[count - 1].last))
        return part if len(part) <= limit_bytes else None

    fits, best, fails = 0, b"", len(ranges) + 1
    count = 1
    while count < fails:
        part = try_count(count)
        if part is None:
            fails = count
            break
        fits, best = count, part
        count = min(count * 2, len(ranges)) if count < len(ranges) else fails
    while fails - fits > 1:
        middle = (fits + fails) // 2
        part = try_count(middle)
        if part is None:
            fails = middle
        else:
            fits, best = middle, part
    return fits, best


def _halve(
    pages: PageRange, make_part: MakePart, limit_bytes: int
) -> list[tuple[PageRange, bytes]]:
    part = make_part(pages)
    if len(part) <= limit_bytes or pages.first == pages.last:
        return [(pages, part)]
    middle = (pages.first + pages.last) // 2
    front, back = PageRange(pages.first, middle), PageRange(middle + 1, pages.last)
    return [*_halve(front, make_part, limit_bytes), *_halve(back, make_part, limit_bytes)]
