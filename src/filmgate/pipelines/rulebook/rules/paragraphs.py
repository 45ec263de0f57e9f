"""Paragraphs: group the lines of a section, in the order of the file."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property, lru_cache
from typing import NamedTuple

from filmgate.core.books import Line, Page, Role
from filmgate.core.digest import sha256_hex
from filmgate.pipelines.rulebook.rules.styles import find_body_size
from filmgate.pipelines.rulebook.rules.text import clean_text, join_lines

INDENT = (3.0, 40.0)
"""Minimum and maximum indent of the first line of a paragraph, in points. Typesetters use 9 to 20;
a smaller offset is the difference between two letters, a greater one is another column."""

GAP = 0.6
"""Gap between two lines from which a paragraph ends, as a share of the letter size; lines of one
paragraph are 0.1 to 0.35 apart."""

SHORT = 0.68
"""Width of a line below which it ends a paragraph, as a share of the width of full lines."""

MAX_CHARACTERS = 1600
"""Maximum number of characters in a chunk."""

MIN_CHARACTERS = 500
"""Number of characters from which a chunk may end before `MAX_CHARACTERS`."""

CUT_ONE_IN = 4
"""Between these sizes, a chunk ends before one paragraph in this number. The paragraph is selected
by its own words, so that an added sentence moves only the cuts near it (content-defined
chunking)."""

CELLS = frozenset({Role.ROW, Role.HEAD})
"""Roles of lines with table cells."""

OTHER_SIZE = 0.6
"""Difference in points from which the letter sizes of two paragraphs differ; less is rounding."""

TOUCHING = 0.2
"""Gap up to which two lines are parts of one word, as a share of the letter size. A space is 0.25
of it."""

MIN_ROWS = 3
"""Number of rows from which lines with cells are a table."""

MIN_ITEMS = 3
"""Number of successive short paragraphs from which they are a list."""

MAX_ITEM_WORDS = 8
"""Number of words up to which a paragraph may be a list item."""

_BULLET = re.compile(r"[•●▪◦‣⁃*–—-]\s|\d{1,2}[.)]\s|\(?[a-z]\)\s")
_SENTENCE_END = re.compile(r"[.!?…][”\"')\]]*\s+")
_ENDS = re.compile(r"[.!?:…”\"')\]]$")
_STYLE = re.compile(
    r"[-,]?(bold|italic|oblique|regular|roman|semi|demi|light|medium|ligh|ital)+", re.I
)


class Shape(StrEnum):
    """The kind of a paragraph."""

    HEADING = "heading"
    PROSE = "prose"
    ITEM = "item"
    ROWS = "rows"


class PlacedLine(NamedTuple):
    """A line with its position in the book."""

    page: int
    number: int
    """Index of the line on the page, from 0."""
    line: Line


@dataclass(frozen=True)
class Paragraph:
    """Successive lines of one kind."""

    shape: Shape
    lines: tuple[PlacedLine, ...]

    @cached_property
    def text(self) -> str:
        """The cleaned text: one line per table row, or one line in all."""
        if self.shape is Shape.ROWS:
            return "\n".join(clean_text(placed.line.text) for placed in self.lines)
        return join_lines(_merge_touching(self.lines))


def _merge_touching(lines: Sequence[PlacedLine]) -> list[str]:
    """Return the texts of lines; lines that touch on one baseline are merged."""
    texts: list[str] = []
    for number, placed in enumerate(lines):
        if number and _is_touching(lines[number - 1], placed):
            texts[-1] = texts[-1].rstrip() + placed.line.text.lstrip()
        else:
            texts.append(placed.line.text)
    return texts


def _is_touching(left: PlacedLine, right: PlacedLine) -> bool:
    """Whether two lines of the file are parts of one word on the page."""
    first, second, size = left.line.box, right.line.box, left.line.size or 0.0
    if first is None or second is None or left.page != right.page:
        return False
    overlap = min(first[3], second[3]) - max(first[1], second[1])
    is_level = overlap > 0.6 * min(first[3] - first[1], second[3] - second[1])
    return is_level and -TOUCHING * size < second[0] - first[2] < TOUCHING * size


class Typesetting(NamedTuple):
    """Properties of the body text of a book."""

    size: float | None
    """Letter size in points."""
    measure: float | None
    """Width of a full line in points."""


def measure_typesetting(pages: Sequence[Page]) -> Typesetting:
    """Measure the letter size and the line width of a book's body text; None if unknown."""
    size = find_body_size(pages)
    widths: Counter[int] = Counter()
    for page in pages:
        for line in page.lines:
            if line.size == size and line.box is not None and line.role is Role.TEXT:
                widths[round(line.box[2] - line.box[0])] += 1
    total, seen = sum(widths.values()), 0
    for width in sorted(widths):
        seen += widths[width]
        if seen >= total * 0.9:
            return Typesetting(size, float(width))
    return Typesetting(size, None)


def find_paragraphs(lines: Iterable[PlacedLine], typesetting: Typesetting) -> list[Paragraph]:
    """Group the lines of a section, without its heading, into paragraphs."""
    groups: list[list[PlacedLine]] = []
    for placed in _split_long_lines(lines):
        if groups and _is_continuation(groups[-1], placed, typesetting):
            groups[-1].append(placed)
        else:
            groups.append([placed])
    paragraphs = [Paragraph(_find_shape(group), tuple(group)) for group in groups]
    return [
        part
        for paragraph in _mark_lists(paragraphs, typesetting)
        for part in _split_paragraph(paragraph)
    ]


def _is_continuation(
    group: Sequence[PlacedLine], below: PlacedLine, typesetting: Typesetting
) -> bool:
    """Whether a line belongs to the paragraph of the lines above it."""
    is_table = group[0].line.role in CELLS
    return (is_table and _is_table_continuation(group, below)) or not _is_paragraph_break(
        group[-1], below, typesetting
    )


def _split_long_lines(lines: Iterable[PlacedLine]) -> Iterator[PlacedLine]:
    """Split lines that are too long, at the ends of sentences.

    Such lines occur in books without pages, where a line is a whole paragraph.
    """
    for placed in lines:
        text, start = placed.line.text, 0
        while len(text) - start > MAX_CHARACTERS:
            end = start + _find_sentence_end(text[start : start + MAX_CHARACTERS])
            yield _slice_line(placed, start, end)
            start = end
        yield _slice_line(placed, start, len(text))


def _slice_line(placed: PlacedLine, first: int, last: int) -> PlacedLine:
    """Return the characters `first` to `last` of a line, without white space around them."""
    if (first, last) == (0, len(placed.line.text)):
        return placed
    text = placed.line.text[first:last]
    start = placed.line.start + first + len(text) - len(text.lstrip())
    return placed._replace(line=placed.line._replace(start=start, text=text.strip()))


def _find_sentence_end(text: str) -> int:
    """Return the end of the last sentence in the second half of a text, or else of the last
    word."""
    half = len(text) // 2
    ends = [match.end() for match in _SENTENCE_END.finditer(text, half)]
    return ends[-1] if ends else text.rfind(" ", half) + 1 or len(text)


def _split_paragraph(paragraph: Paragraph) -> Iterator[Paragraph]:
    """Split a paragraph that is too long, at the ends of lines.

    It is split where a sentence ends and the next line is a cut point, so that an added word moves
    only one cut. At the size limit it is split in any case.
    """
    group: list[PlacedLine] = []
    size = 0
    is_long = len(paragraph.text) > MAX_CHARACTERS and paragraph.shape is not Shape.ROWS
    for placed in paragraph.lines if is_long else ():
        length = len(placed.line.text)
        is_chosen = size >= MIN_CHARACTERS and group and _is_cut(group[-1].line, placed.line)
        if group and (is_chosen or size + length > MAX_CHARACTERS):
            yield Paragraph(paragraph.shape, tuple(group))
            group, size = [], 0
        group.append(placed)
        size += length
    yield Paragraph(paragraph.shape, tuple(group)) if is_long else paragraph


def _is_cut(above: Line, below: Line) -> bool:
    return bool(_ENDS.search(clean_text(above.text))) and is_cut_point(clean_text(below.text))


def is_cut_point(text: str) -> bool:
    """Whether a chunk may end before a text; true for one text in `CUT_ONE_IN`, by its first
    words."""
    digest = sha256_hex(text[:48].encode("utf-8"))
    return int(digest[:8], 16) % CUT_ONE_IN == 0


def _find_shape(group: Sequence[PlacedLine]) -> Shape:
    is_table = group[0].line.role in CELLS
    if is_table and sum(placed.line.role in CELLS for placed in group) >= MIN_ROWS:
        return Shape.ROWS
    first = group[0].line
    is_item = first.role is Role.ITEM or _BULLET.match(clean_text(first.text))
    return Shape.ITEM if is_item else Shape.PROSE


def _is_paragraph_break(above: PlacedLine, below: PlacedLine, typesetting: Typesetting) -> bool:
    """Whether a new paragraph begins between two lines."""
    first, second = above.line, below.line
    if _is_touching(above, below):
        return False
    is_other = _font_family(first) != _font_family(second) or first.size != second.size
    are_cells = (first.role in CELLS, second.role in CELLS)
    if any(are_cells) and (all(are_cells) or is_other):
        return _font_family(first) != _font_family(second)
    if first.box is None or second.box is None:
        return first.level is not None or second.start - first.end > 1
    if _BULLET.match(clean_text(second.text)) or _has_other_style(first, second):
        return True
    if above.page != below.page or second.box[1] < first.box[1] - (first.size or 0):
        return not _is_broken_off(first, second)
    return _is_break_in_column(first, second, typesetting)


def _is_table_continuation(group: Sequence[PlacedLine], below: PlacedLine) -> bool:
    """Whether a line is the rest of a table cell, or the first row after such a rest."""
    above = group[-1]
    first, second = above.line, below.line
    if first.box is None or second.box is None or above.page != below.page:
        return False
    gap = second.box[1] - first.box[3]
    is_near = 0 - (second.size or 0) < gap <= GAP * (second.size or 10.0)
    if first.role in CELLS and second.role in CELLS:
        return False  # two rows: `_is_paragraph_break` decides
    left = group[0].line.box[0] if group[0].line.box is not None else 0.0
    is_rest = second.role in CELLS or second.box[0] > left + 1
    return is_near and is_rest and not _has_other_style(first, second)


def _has_other_style(first: Line, second: Line) -> bool:
    is_other_size = abs((first.size or 0) - (second.size or 0)) > OTHER_SIZE
    return is_other_size or _font_family(first) != _font_family(second)


def _is_break_in_column(first: Line, second: Line, typesetting: Typesetting) -> bool:
    assert first.box is not None
    assert second.box is not None
    size = second.size or typesetting.size or 10.0
    if second.box[1] - first.box[3] > GAP * size:
        return True
    is_indented = INDENT[0] < second.box[0] - first.box[0] < INDENT[1]
    if is_indented and _BULLET.match(clean_text(first.text)):
        return False
    if is_indented:
        return not _is_broken_off(first, second)
    width = first.box[2] - min(first.box[0], second.box[0])
    return typesetting.measure is not None and width < SHORT * typesetting.measure


def _is_broken_off(first: Line, second: Line) -> bool:
    """Whether a sentence continues in the second line.

    The second line is elsewhere on the page, on the next page, or indented.
    """
    text, following = clean_text(first.text), clean_text(second.text)
    return not _ENDS.search(text) and (following[:1].islower() or not text[-1:].isalnum())


def _font_family(line: Line) -> str:
    """Return the name of a line's font without weight and slant."""
    return _without_style(line.font or "")


@lru_cache(maxsize=4096)
def _without_style(font: str) -> str:
    return _STYLE.sub("", font)


def _mark_lists(paragraphs: list[Paragraph], typesetting: Typesetting) -> list[Paragraph]:
    """Turn runs of short paragraphs that do not end a sentence into list items."""
    marked: list[Paragraph] = []
    run: list[Paragraph] = []
    for paragraph in [*paragraphs, None]:
        if paragraph is not None and _is_list_entry(paragraph):
            run.append(paragraph)
            continue
        is_all = len(run) == len(paragraphs)
        is_list = (len(run) >= MIN_ITEMS or is_all) and typesetting.size is not None
        marked += [replace(entry, shape=Shape.ITEM) if is_list else entry for entry in run]
        run = []
        if paragraph is not None:
            marked.append(paragraph)
    return marked


def _is_list_entry(paragraph: Paragraph) -> bool:
    if paragraph.shape is not Shape.PROSE or len(paragraph.lines) > 2:  # noqa: PLR2004
        return False
    text = paragraph.text
    return len(text.split()) <= MAX_ITEM_WORDS and not text.endswith((".", ":", ";", ","))
