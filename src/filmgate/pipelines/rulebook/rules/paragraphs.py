"""Paragraphs: lines that belong together, of the order in which the file gives them."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property, lru_cache
from typing import NamedTuple

from filmgate.core.books import Line, Page, Role
from filmgate.core.digest import sha256_hex
from filmgate.pipelines.rulebook.rules.styles import body_size
from filmgate.pipelines.rulebook.rules.text import cleaned, joined

INDENT = (3.0, 40.0)
"""Points by which the first line of a paragraph is set in. Typesetters use 9 to 20; less is the
difference between two letters, more another column."""

GAP = 0.6
"""Of the size, between two lines; lines of one paragraph are 0.1 to 0.35 apart."""

SHORT = 0.68
"""Of the measure; a line that ends before that ends on purpose."""

MAX_CHARACTERS = 1600
MIN_CHARACTERS = 500
CUT_ONE_IN = 4
"""Between the least and the most, a piece ends before one paragraph in four, chosen by the
paragraph's own words: a sentence that is added moves the cuts near it and no others
(content-defined chunking)."""

CELLS = frozenset({Role.ROW, Role.HEAD})

OTHER_SIZE = 0.6
"""Points between the sizes of two paragraphs; less is rounding."""

TOUCHING = 0.2
"""Of the size, between two pieces of a word; a space is 0.25 of it."""

MIN_ROWS = 3
"""So many rows make a table."""

MIN_ITEMS = 3
MAX_ITEM_WORDS = 8

_BULLET = re.compile(r"[•●▪◦‣⁃*–—-]\s|\d{1,2}[.)]\s|\(?[a-z]\)\s")
_SENTENCE_END = re.compile(r"[.!?…][”\"')\]]*\s+")
_ENDS = re.compile(r"[.!?:…”\"')\]]$")
_STYLE = re.compile(
    r"[-,]?(bold|italic|oblique|regular|roman|semi|demi|light|medium|ligh|ital)+", re.I
)


class Shape(StrEnum):
    """What a paragraph is."""

    HEADING = "heading"
    PROSE = "prose"
    ITEM = "item"
    ROWS = "rows"


class Placed(NamedTuple):
    """A line of a book."""

    page: int
    number: int
    """Its place on the page, from 0."""
    line: Line


@dataclass(frozen=True)
class Paragraph:
    """Lines that belong together."""

    shape: Shape
    lines: tuple[Placed, ...]

    @cached_property
    def text(self) -> str:
        """As people read it; rows and lines of headings each on their own."""
        if self.shape is Shape.ROWS:
            return "\n".join(cleaned(each.line.text) for each in self.lines)
        return joined(_whole_words(self.lines))


def _whole_words(lines: Sequence[Placed]) -> list[str]:
    """The texts of lines; those that touch on one base line are one."""
    texts: list[str] = []
    for number, each in enumerate(lines):
        if number and _touch(lines[number - 1], each):
            texts[-1] = texts[-1].rstrip() + each.line.text.lstrip()
        else:
            texts.append(each.line.text)
    return texts


def _touch(left: Placed, right: Placed) -> bool:
    """Whether a word goes on in another line of the file that is none on the page."""
    first, second, size = left.line.box, right.line.box, left.line.size or 0.0
    if first is None or second is None or left.page != right.page:
        return False
    overlap = min(first[3], second[3]) - max(first[1], second[1])
    is_level = overlap > 0.6 * min(first[3] - first[1], second[3] - second[1])
    return is_level and -TOUCHING * size < second[0] - first[2] < TOUCHING * size


class Typesetting(NamedTuple):
    """What most lines of a book have in common."""

    size: float | None
    measure: float | None
    """How wide a full line is, in points."""


def typesetting(pages: Sequence[Page]) -> Typesetting:
    """The size and the measure of a book's body."""
    size = body_size(pages)
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


def paragraphs(lines: Iterable[Placed], setting: Typesetting) -> list[Paragraph]:
    """The paragraphs of a section, its heading left out."""
    groups: list[list[Placed]] = []
    for each in _not_too_long(lines):
        if groups and _belongs(groups[-1], each, setting):
            groups[-1].append(each)
        else:
            groups.append([each])
    found = [Paragraph(_shape(group), tuple(group)) for group in groups]
    return [short for each in _with_lists(found, setting) for short in _shortened(each)]


def _belongs(group: Sequence[Placed], below: Placed, setting: Typesetting) -> bool:
    """Whether a line goes on with the lines above it."""
    is_table = group[0].line.role in CELLS
    return (is_table and _goes_on_in_a_table(group, below)) or not _parts(group[-1], below, setting)


def _not_too_long(lines: Iterable[Placed]) -> Iterator[Placed]:
    """Lines, of which those of a book without pages are whole paragraphs: cut behind sentences."""
    for each in lines:
        text, at = each.line.text, 0
        while len(text) - at > MAX_CHARACTERS:
            cut = at + _behind_a_sentence(text[at : at + MAX_CHARACTERS])
            yield _piece_of(each, at, cut)
            at = cut
        yield _piece_of(each, at, len(text))


def _piece_of(whole: Placed, first: int, last: int) -> Placed:
    """Some characters of a line, without white space around them."""
    if (first, last) == (0, len(whole.line.text)):
        return whole
    text = whole.line.text[first:last]
    start = whole.line.start + first + len(text) - len(text.lstrip())
    return whole._replace(line=whole.line._replace(start=start, text=text.strip()))


def _behind_a_sentence(text: str) -> int:
    """Where to cut a text: behind its last sentence, else behind its last word."""
    half = len(text) // 2
    ends = [found.end() for found in _SENTENCE_END.finditer(text, half)]
    return ends[-1] if ends else text.rfind(" ", half) + 1 or len(text)


def _shortened(paragraph: Paragraph) -> Iterator[Paragraph]:
    """A paragraph of more than the limit in pieces, cut at the ends of lines: where a sentence ends
    there and the next line's own words say so, that a word more or less moves one cut only."""
    group: list[Placed] = []
    size = 0
    is_long = len(paragraph.text) > MAX_CHARACTERS and paragraph.shape is not Shape.ROWS
    for each in paragraph.lines if is_long else ():
        length = len(each.line.text)
        is_chosen = size >= MIN_CHARACTERS and group and _is_cut(group[-1].line, each.line)
        if group and (is_chosen or size + length > MAX_CHARACTERS):
            yield Paragraph(paragraph.shape, tuple(group))
            group, size = [], 0
        group.append(each)
        size += length
    yield Paragraph(paragraph.shape, tuple(group)) if is_long else paragraph


def _is_cut(above: Line, below: Line) -> bool:
    return bool(_ENDS.search(cleaned(above.text))) and is_chosen(cleaned(below.text))


def is_chosen(text: str) -> bool:
    """Whether a cut is made before a text: before one in four, by its first words."""
    mark = sha256_hex(text[:48].encode("utf-8"))
    return int(mark[:8], 16) % CUT_ONE_IN == 0


def _shape(group: Sequence[Placed]) -> Shape:
    is_table = group[0].line.role in CELLS
    if is_table and sum(each.line.role in CELLS for each in group) >= MIN_ROWS:
        return Shape.ROWS
    first = group[0].line
    is_item = first.role is Role.ITEM or _BULLET.match(cleaned(first.text))
    return Shape.ITEM if is_item else Shape.PROSE


def _parts(above: Placed, below: Placed, setting: Typesetting) -> bool:
    """Whether a new paragraph begins between two lines."""
    first, second = above.line, below.line
    if _touch(above, below):
        return False
    is_other = _family(first) != _family(second) or first.size != second.size
    are_cells = (first.role in CELLS, second.role in CELLS)
    if any(are_cells) and (all(are_cells) or is_other):
        return _family(first) != _family(second)
    if first.box is None or second.box is None:
        return first.level is not None or second.start - first.end > 1
    if _BULLET.match(cleaned(second.text)) or _is_set_otherwise(first, second):
        return True
    if above.page != below.page or second.box[1] < first.box[1] - (first.size or 0):
        return not _is_broken_off(first, second)
    return _begins_below(first, second, setting)


def _goes_on_in_a_table(group: Sequence[Placed], below: Placed) -> bool:
    """Whether a line is the rest of a cell, or the row behind such a rest."""
    above = group[-1]
    first, second = above.line, below.line
    if first.box is None or second.box is None or above.page != below.page:
        return False
    gap = second.box[1] - first.box[3]
    is_near = 0 - (second.size or 0) < gap <= GAP * (second.size or 10.0)
    if first.role in CELLS and second.role in CELLS:
        return False  # two rows: what parts them is asked elsewhere
    left = group[0].line.box[0] if group[0].line.box is not None else 0.0
    is_rest = second.role in CELLS or second.box[0] > left + 1
    return is_near and is_rest and not _is_set_otherwise(first, second)


def _is_set_otherwise(first: Line, second: Line) -> bool:
    is_other_size = abs((first.size or 0) - (second.size or 0)) > OTHER_SIZE
    return is_other_size or _family(first) != _family(second)


def _begins_below(first: Line, second: Line, setting: Typesetting) -> bool:
    assert first.box is not None
    assert second.box is not None
    size = second.size or setting.size or 10.0
    if second.box[1] - first.box[3] > GAP * size:
        return True
    is_indented = INDENT[0] < second.box[0] - first.box[0] < INDENT[1]
    if is_indented and _BULLET.match(cleaned(first.text)):
        return False
    if is_indented:
        return not _is_broken_off(first, second)
    width = first.box[2] - min(first.box[0], second.box[0])
    return setting.measure is not None and width < SHORT * setting.measure


def _is_broken_off(first: Line, second: Line) -> bool:
    """Whether a sentence goes on in the next column, or on the next page."""
    text, more = cleaned(first.text), cleaned(second.text)
    return not _ENDS.search(text) and (more[:1].islower() or not text[-1:].isalnum())


def _family(line: Line) -> str:
    """A font without what is bold or slanted of it."""
    return _without_style(line.font or "")


@lru_cache(maxsize=4096)
def _without_style(font: str) -> str:
    return _STYLE.sub("", font)


def _with_lists(found: list[Paragraph], setting: Typesetting) -> list[Paragraph]:
    """Runs of short paragraphs without the end of a sentence are lists."""
    made: list[Paragraph] = []
    run: list[Paragraph] = []
    for each in [*found, None]:
        if each is not None and _is_entry(each):
            run.append(each)
            continue
        is_all = len(run) == len(found)
        is_list = (len(run) >= MIN_ITEMS or is_all) and setting.size is not None
        made += [replace(p, shape=Shape.ITEM) if is_list else p for p in run]
        run = []
        if each is not None:
            made.append(each)
    return made


def _is_entry(paragraph: Paragraph) -> bool:
    if paragraph.shape is not Shape.PROSE or len(paragraph.lines) > 2:  # noqa: PLR2004
        return False
    text = paragraph.text
    return len(text.split()) <= MAX_ITEM_WORDS and not text.endswith((".", ":", ";", ","))
