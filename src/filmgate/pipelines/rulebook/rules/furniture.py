"""Furniture: what is printed on page after page, and the page numbers in it."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from filmgate.core.books import Line, Page, Role
from filmgate.pipelines.rulebook.rules.styles import LARGER, body_size
from filmgate.pipelines.rulebook.rules.text import cleaned, key

MARGIN = 0.1
"""Of the page's height, at its top and at its bottom, where furniture stands. Typesetters' margins
are 0.07 to 0.12 of it."""

MIN_PAGES = 3
"""On so many pages a line in the margin is furniture; on all, where there are fewer."""

MAX_LARGER = 1.2
"""Times the smallest size in which the same words stand in margins: the title of a chapter is
larger than its running head, and no furniture."""

MIN_AGREEING = 0.5
"""Of the pages with a number in the furniture must count as the file does for it to be theirs."""

_NUMBER = re.compile(r"\d+")
_ALONE = re.compile(r"(?:page\s*)?[\[(–-]?\s*(\d{1,4})\s*[\])–-]?", re.IGNORECASE)
_AT_AN_END = re.compile(r"^(\d{1,4})\s|\s(\d{1,4})$")


def without_furniture(pages: Sequence[Page]) -> list[Page]:
    """The same pages; furniture is marked, and printed page numbers are their labels."""
    seen: Counter[str] = Counter()
    sizes: dict[str, float] = {}
    body = body_size(pages) or 0.0
    for page in pages:
        in_margin = {_likeness(line, body): line.size or 0.0 for line in _in_margin(page)}
        seen.update(in_margin.keys())
        for likeness, size in in_margin.items():
            sizes[likeness] = min(size, sizes.get(likeness, size))
    due = min(MIN_PAGES, max(len(pages), 2))
    common = {each: sizes[each] for each, count in seen.items() if count >= due}
    marked = [_marked(page, common, body) for page in pages]
    offset = _offset(marked)
    return [_labelled(page, offset) for page in marked]


def _in_margin(page: Page) -> list[Line]:
    if page.size is None or page.size[1] <= 0:
        return []
    height = page.size[1]
    return [
        line
        for line in page.lines
        if line.box is not None
        and (line.box[3] < height * MARGIN or line.box[1] > height * (1 - MARGIN))
    ]


def _likeness(line: Line, body: float) -> str:
    """What a line has in common with those on other pages: all but its numbers. In large letters
    these count: `Chapter 1` and `Chapter 2` are two headings."""
    text = cleaned(line.text).lower()
    return text if (line.size or 0.0) >= body * LARGER else _NUMBER.sub("#", text)


def _marked(page: Page, common: Mapping[str, float], body: float) -> Page:
    found = {
        line.start
        for line in _in_margin(page)
        if (smallest := common.get(_likeness(line, body))) is not None
        and (line.size or 0.0) <= smallest * MAX_LARGER
    }
    if not found:
        return page
    lines = tuple(
        line._replace(role=Role.FURNITURE) if line.start in found else line for line in page.lines
    )
    return page.model_copy(update={"lines": lines})


def printed_numbers(page: Page) -> list[int]:
    """Numbers that may be the page's own."""
    texts = [cleaned(line.text) for line in page.lines if line.role is Role.FURNITURE]
    alone = [int(found[1]) for text in texts if (found := _ALONE.fullmatch(text))]
    ends = [int(found[1] or found[2]) for text in texts if (found := _AT_AN_END.search(text))]
    return alone + ends


def _offset(pages: Sequence[Page]) -> int | None:
    """Printed number less place in the file, where most pages agree on it."""
    differences = [{number - page.page for number in printed_numbers(page)} for page in pages]
    numbered = [each for each in differences if each]
    votes = Counter(offset for each in numbered for offset in each)
    if not votes:
        return None
    offset, count = min(votes.items(), key=lambda vote: (-vote[1], abs(vote[0])))
    return offset if count >= max(2, MIN_AGREEING * len(numbered)) else None


def _labelled(page: Page, offset: int | None) -> Page:
    """With its printed number; what the file itself says goes first."""
    if page.label is not None or offset is None or page.page + offset < 1:
        return page
    return page.model_copy(update={"label": str(page.page + offset)})


def printed_pages(pages: Sequence[Page]) -> dict[str, int]:
    """Place in the file, by printed number."""
    return {key(page.label): page.page for page in reversed(pages) if page.label is not None}
