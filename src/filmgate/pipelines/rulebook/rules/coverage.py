"""Coverage: that no character of a book was lost, and none is in two chunks."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

from filmgate.core.books import Line, Page, Role
from filmgate.core.errors import ContractBroken
from filmgate.core.rulebook import Coverage, Skipped, Toc
from filmgate.pipelines.rulebook.rules.text import cleaned

Reason = Literal["furniture", "front matter", "invisible"]

Taken = dict[tuple[int, int], list[tuple[int, int]]]
"""By page and line: the characters of it that are in chunks."""


def account(toc: Toc, pages: Sequence[Page], taken: Taken) -> Coverage:
    """The account of a book's characters: what no chunk has, and has no reason to be in none, is in
    neither sum. ContractBroken where one is in two."""
    total = within = 0
    skipped: list[Skipped] = []
    for page in pages:
        for number, line in enumerate(page.lines):
            count = _visible(line.text)
            total += count
            pieces = taken.get((page.page, number), [])
            if pieces == [(line.start, line.end)]:
                within += count
                continue
            pieces = sorted(pieces)
            within += sum(_visible(line.text[a - line.start : b - line.start]) for a, b in pieces)
            if any(end > start for (_, end), (start, _) in pairwise(pieces)):
                raise ContractBroken(
                    f"characters of {toc.file} are in two chunks",
                    expected="each in one",
                    got=f"page {page.page}: {line.text[:80]!r}",
                )
            if not pieces and (reason := _reason(line)) is not None:
                skipped.append(_skipped(page, line, reason))
        if not page.lines:
            skipped.append(
                Skipped(page=page.page, char_start=0, char_end=0, reason="no text layer", text="")
            )
    return Coverage(
        source_id=toc.source_id,
        book_id=toc.book_id,
        characters=total,
        in_chunks=within,
        in_skipped=sum(_visible(each.text) for each in skipped),
        skipped=tuple(skipped),
    )


def _visible(text: str) -> int:
    """How many characters are no white space."""
    return len("".join(text.split()))


def _reason(line: Line) -> Reason | None:
    """Why a line may be in no chunk."""
    if line.role is Role.FURNITURE:
        return "furniture"
    if line.role is Role.FRONT_MATTER:
        return "front matter"
    return None if cleaned(line.text) else "invisible"


def _skipped(page: Page, line: Line, reason: Reason) -> Skipped:
    return Skipped(
        page=page.page, char_start=line.start, char_end=line.end, reason=reason, text=line.text
    )
