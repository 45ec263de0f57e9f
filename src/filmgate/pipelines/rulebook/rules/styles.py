"""Styles: which lines look like headings."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from filmgate.core.books import LEFT_OUT, Line, Page, Role
from filmgate.pipelines.rulebook.rules.text import cleaned, key

LARGER = 1.15
"""Times the size of the body, from which a line looks like a heading. Measured on the SRD: at
1.05 its "Actions" of every monster come in, at 1.3 half of its headings are lost."""

LARGER_ON_SCANS = 1.4
"""Of lines read off pictures, whose sizes are guesses."""

MAX_WORDS = 14
MAX_GAP = 0.75
"""Of the size, between two lines of one heading."""

SAME_SIZE = 0.3
"""Points by which letters of one size differ, by rounding."""

LABEL_LINES = 12
LABEL_SHARE = 0.34
"""A style of at least so many lines in which no more than this share are different titles is used
for labels that repeat under every heading, not for headings of a table of contents."""

_BOLD = re.compile(r"bold|demi|black|heavy", re.IGNORECASE)


class Heading(NamedTuple):
    """A heading that was found by its looks."""

    page: int
    line: int
    """Place of its first line on the page, from 0."""
    lines: int
    """How many lines it takes."""
    title: str
    size: float
    is_label: bool
    """Whether its style repeats a few titles over and over."""


def body_size(pages: Sequence[Page]) -> float | None:
    """The size that most letters of a book have; None where sizes are not known."""
    letters: Counter[float] = Counter()
    for page in pages:
        for line in page.lines:
            if line.size is not None and line.role not in LEFT_OUT:
                letters[line.size] += len(line.text)
    return max(letters, key=lambda size: (letters[size], -size)) if letters else None


def headings(pages: Sequence[Page]) -> list[Heading]:
    """Every heading by its looks, in the order of the file."""
    body = body_size(pages)
    if body is None:
        return []
    found = [each for page in pages for each in _on_page(page, body)]
    if not found:
        found = [each for page in pages for each in _on_page(page, body, is_bold_enough=True)]
    return _labelled(found, pages)


def _on_page(page: Page, body: float, *, is_bold_enough: bool = False) -> Iterator[Heading]:
    number, lines = 0, page.lines
    larger = body * (LARGER_ON_SCANS if page.is_ocr else LARGER)
    while number < len(lines):
        first = lines[number]
        is_large = first.size is not None and first.size >= larger
        may_be = is_bold_enough and first.role not in {Role.ROW, Role.HEAD} and is_bold(first)
        if first.role in LEFT_OUT or not (is_large or may_be):
            number += 1
            continue
        count = 1
        while number + count < len(lines) and _goes_on(
            lines[number + count - 1], lines[number + count]
        ):
            count += 1
        parts = [cleaned(line.text) for line in lines[number : number + count]]
        title = " ".join(parts)
        if _is_title(title):
            yield Heading(page.page, number, count, title, first.size or body, is_label=False)
        number += count


def is_bold(line: Line) -> bool:
    """Whether its letters are, by the name of their font."""
    return bool(_BOLD.search(line.font or ""))


def _goes_on(above: Line, below: Line) -> bool:
    """Whether two lines are one heading: same letters, right below each other."""
    if (above.size, above.font) != (below.size, below.font) or not above.box or not below.box:
        return False
    gap = below.box[1] - above.box[3]
    is_near = -(above.size or 0) <= gap <= MAX_GAP * (above.size or 0)
    return is_near and abs(above.box[0] - below.box[0]) < 4 * (above.size or 0)


def _is_title(text: str) -> bool:
    is_sentence = text.endswith((".", ",", ";")) and not text.endswith("etc.")
    has_letters = sum(c.isalpha() for c in text) >= 2  # noqa: PLR2004 - one is a drop cap
    return has_letters and not is_sentence and len(text.split()) <= MAX_WORDS


def _labelled(found: list[Heading], pages: Sequence[Page]) -> list[Heading]:
    lines = {page.page: page.lines for page in pages}
    styles: dict[tuple[float, str | None], list[str]] = defaultdict(list)
    for each in found:
        styles[each.size, lines[each.page][each.line].font].append(key(each.title))
    labels = {
        style
        for style, titles in styles.items()
        if len(titles) >= LABEL_LINES and len(set(titles)) <= LABEL_SHARE * len(titles)
    }
    return [
        each._replace(is_label=(each.size, lines[each.page][each.line].font) in labels)
        for each in found
    ]


def levels(found: Sequence[Heading]) -> list[int]:
    """The depth of each heading, from 1: larger letters are higher up."""
    sizes = sorted({each.size for each in found}, reverse=True)
    ranks: dict[float, int] = {}
    rank, last = 0, None
    for size in sizes:
        if last is None or last - size > SAME_SIZE:
            rank += 1
        ranks[size], last = rank, size
    return [ranks[each.size] for each in found]
