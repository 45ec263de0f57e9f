"""Styles: find lines that look like headings."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from filmgate.core.books import NON_TEXT_ROLES, Line, Page, Role
from filmgate.pipelines.rulebook.rules.text import clean_text, match_key

LARGER = 1.15
"""Minimum ratio of the size of a heading to the body size. Measured on the SRD (the free D&D
rules): at 1.05 the label "Actions" of every monster is included, at 1.3 half of the headings are
lost."""

LARGER_ON_SCANS = 1.4
"""The same ratio for lines read by OCR, whose sizes are estimates."""

MAX_WORDS = 14
"""Maximum number of words of a heading; longer lines are sentences."""

MAX_GAP = 0.75
"""Largest gap between two lines of one heading, as a share of the letter size."""

SAME_SIZE = 0.3
"""Maximum difference between equal letter sizes, in points; it is due to rounding."""

LABEL_LINES = 12
"""Minimum number of lines in a style of labels."""

LABEL_SHARE = 0.34
"""Maximum share of different titles in a style of labels. Labels repeat under every heading and are
not in a table of contents."""

_BOLD = re.compile(r"bold|demi|black|heavy", re.IGNORECASE)


class Heading(NamedTuple):
    """A heading that was found by its style."""

    page: int
    line: int
    """Index of its first line on the page, from 0."""
    lines: int
    """Number of lines of the heading."""
    title: str
    size: float
    """Letter size in points."""
    is_label: bool
    """Whether its style is that of labels, see `LABEL_SHARE`."""


def find_body_size(pages: Sequence[Page]) -> float | None:
    """Return the size of most letters of a book, in points; None if sizes are unknown."""
    letters: Counter[float] = Counter()
    for page in pages:
        for line in page.lines:
            if line.size is not None and line.role not in NON_TEXT_ROLES:
                letters[line.size] += len(line.text)
    return max(letters, key=lambda size: (letters[size], -size)) if letters else None


def find_headings(pages: Sequence[Page]) -> list[Heading]:
    """Find all headings by their style, in the order of the file.

    Headings are large lines, or bold lines if no line is large.
    """
    body = find_body_size(pages)
    if body is None:
        return []
    found = [heading for page in pages for heading in _headings_on(page, body)]
    if not found:
        found = [h for page in pages for h in _headings_on(page, body, is_bold_enough=True)]
    return _mark_labels(found, pages)


def _headings_on(page: Page, body: float, *, is_bold_enough: bool = False) -> Iterator[Heading]:
    number, lines = 0, page.lines
    larger = body * (LARGER_ON_SCANS if page.is_ocr else LARGER)
    while number < len(lines):
        first = lines[number]
        is_large = first.size is not None and first.size >= larger
        may_be = is_bold_enough and first.role not in {Role.ROW, Role.HEAD} and is_bold(first)
        if first.role in NON_TEXT_ROLES or not (is_large or may_be):
            number += 1
            continue
        count = 1
        while number + count < len(lines) and _is_continued(
            lines[number + count - 1], lines[number + count]
        ):
            count += 1
        parts = [clean_text(line.text) for line in lines[number : number + count]]
        title = " ".join(parts)
        if _is_title(title):
            yield Heading(page.page, number, count, title, first.size or body, is_label=False)
        number += count


def is_bold(line: Line) -> bool:
    """Whether the name of a line's font says that it is bold."""
    return bool(_BOLD.search(line.font or ""))


def _is_continued(above: Line, below: Line) -> bool:
    """Whether two lines belong to one heading: same size and font, directly below each other."""
    if (above.size, above.font) != (below.size, below.font) or not above.box or not below.box:
        return False
    gap = below.box[1] - above.box[3]
    is_near = -(above.size or 0) <= gap <= MAX_GAP * (above.size or 0)
    return is_near and abs(above.box[0] - below.box[0]) < 4 * (above.size or 0)


def _is_title(text: str) -> bool:
    is_sentence = text.endswith((".", ",", ";")) and not text.endswith("etc.")
    has_letters = sum(c.isalpha() for c in text) >= 2  # noqa: PLR2004 - one is a drop cap
    return has_letters and not is_sentence and len(text.split()) <= MAX_WORDS


def _mark_labels(found: list[Heading], pages: Sequence[Page]) -> list[Heading]:
    lines = {page.page: page.lines for page in pages}
    styles: dict[tuple[float, str | None], list[str]] = defaultdict(list)
    for heading in found:
        font = lines[heading.page][heading.line].font
        styles[heading.size, font].append(match_key(heading.title))
    labels = {
        style
        for style, titles in styles.items()
        if len(titles) >= LABEL_LINES and len(set(titles)) <= LABEL_SHARE * len(titles)
    }
    return [
        heading._replace(is_label=(heading.size, lines[heading.page][heading.line].font) in labels)
        for heading in found
    ]


def rank_headings(found: Sequence[Heading]) -> list[int]:
    """Return the level of each heading, from 1 for the largest letters."""
    sizes = sorted({heading.size for heading in found}, reverse=True)
    ranks: dict[float, int] = {}
    rank, last = 0, None
    for size in sizes:
        if last is None or last - size > SAME_SIZE:
            rank += 1
        ranks[size], last = rank, size
    return [ranks[heading.size] for heading in found]
