"""Coverage: check that every character of a book is in one chunk, or skipped for a reason."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

from filmgate.core.books import Line, Page, Role
from filmgate.core.errors import ContractBroken
from filmgate.pipelines.rulebook.contracts import Coverage, SkippedText, Toc
from filmgate.pipelines.rulebook.rules.text import clean_text

Reason = Literal["furniture", "front matter", "invisible"]

ChunkedRanges = dict[tuple[int, int], list[tuple[int, int]]]
"""(start, end) character ranges that are in chunks, by (page, line)."""


def measure_coverage(toc: Toc, pages: Sequence[Page], chunked: ChunkedRanges) -> Coverage:
    """Count the characters of a book that are in chunks, and those skipped for a reason.

    A character that is neither in a chunk nor skipped is in neither count. Raises ContractBroken if
    a character is in two chunks.
    """
    total = in_chunks = 0
    skipped: list[SkippedText] = []
    for page in pages:
        for number, line in enumerate(page.lines):
            count = _count_visible(line.text)
            total += count
            ranges = chunked.get((page.page, number), [])
            if ranges == [(line.start, line.end)]:
                in_chunks += count
                continue
            ranges = sorted(ranges)
            in_chunks += sum(
                _count_visible(line.text[start - line.start : end - line.start])
                for start, end in ranges
            )
            if any(end > start for (_, end), (start, _) in pairwise(ranges)):
                raise ContractBroken(
                    f"characters of {toc.file} are in two chunks",
                    expected="every character in one chunk",
                    got=f"page {page.page}: {line.text[:80]!r}",
                )
            if not ranges and (reason := _skip_reason(line)) is not None:
                skipped.append(_skipped_line(page, line, reason))
        if not page.lines:
            skipped.append(
                SkippedText(
                    page=page.page, char_start=0, char_end=0, reason="no text layer", text=""
                )
            )
    return Coverage(
        source_id=toc.source_id,
        book_id=toc.book_id,
        characters=total,
        in_chunks=in_chunks,
        in_skipped=sum(_count_visible(skip.text) for skip in skipped),
        skipped=tuple(skipped),
    )


def _count_visible(text: str) -> int:
    """Return the number of characters that are not white space."""
    return len("".join(text.split()))


def _skip_reason(line: Line) -> Reason | None:
    """Return why a line may be missing from the chunks; None for a line of text."""
    if line.role is Role.PAGE_HEADER:
        return "furniture"
    if line.role is Role.FRONT_MATTER:
        return "front matter"
    return None if clean_text(line.text) else "invisible"


def _skipped_line(page: Page, line: Line, reason: Reason) -> SkippedText:
    return SkippedText(
        page=page.page, char_start=line.start, char_end=line.end, reason=reason, text=line.text
    )
