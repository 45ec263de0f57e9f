"""Page headers and footers: lines of the margins that repeat, and page numbers in sequence.

A line in the margin of a page is left out of the text only if one of these rules applies:

1. The line repeats word for word on several successive pages (or on every second page), is
   separated from the text, and its words do not occur with other numbers in other margins.
2. The line contains a page number: a number that increases with the pages, either alone in its
   line or in a line whose other words repeat. If a page has a page number alone in a line, a
   number beside words is a page number only if it equals that one.

Everything else is text. Numbers that differ otherwise (armor classes, spell ranges, rows of a
table) are part of a rule.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from statistics import median
from typing import NamedTuple

from filmgate.core.books import Line, Page, Role
from filmgate.pipelines.rulebook.rules.styles import LARGER, find_body_size
from filmgate.pipelines.rulebook.rules.text import clean_text, match_key

MARGIN = 0.1
"""Height of the top and the bottom margin, as a share of the height of the page. Typesetters'
margins are 0.07 to 0.12 of it."""

MIN_PAGES = 3
"""Number of pages on which a line must repeat; all pages if a book has fewer."""

MIN_DENSITY = 0.4
"""A page header must be on at least this share of the pages between the first and the last page on
which it occurs. A header on every second page has 0.5, or less if the first pages of chapters lack
it. Words that repeat on scattered pages, as on stat cards, have less."""

MIN_SAME_NUMBERS = 0.9
"""Minimum share of the lines with equal words that must also have equal numbers. A rare other
number is a reading error; frequent other numbers are content."""

MAX_LARGER = 1.2
"""Maximum ratio of the size of a page header to the smallest size of the same words in margins. The
title of a chapter is larger than its running head, and is text."""

MIN_IN_SEQUENCE = 0.8
"""Minimum share of the numbers, in lines with equal words, that must increase with the pages for
them to be page numbers."""

MIN_WORDS = 2
"""Minimum number of words beside a page number that is not separated from them. A single word
(`Challenge 4`) may be a field whose value increases by chance."""

MIN_AGREEING = 0.5
"""Minimum share of the numbered pages with the same offset, for it to be the offset of the book."""

ATTACHED = 1.3
"""Maximum gap between a margin line and the text that it belongs to, as a multiple of the usual gap
between lines."""

DIVISIONS = frozenset({"chapter", "part", "section", "book", "appendix", "volume", "act", "module"})
"""First words of page headers whose number changes with the chapter."""

_NUMBER = re.compile(r"\d+")
_PAGE_NUMBER = r"(?<![\w.,])(\d{1,4})(?![\w%°]|[.,]\d)"
_OF_ALL = r"(?:\s*(?:/|of|von|de|sur)\s*\d{1,4})?"
"""The total number of pages, after a page number."""

_FIRST = re.compile(rf"^\W*{_PAGE_NUMBER}{_OF_ALL}(?P<rest>.*)$", re.DOTALL)
_LAST = re.compile(rf"^(?P<rest>.*?){_PAGE_NUMBER}{_OF_ALL}\W*$", re.DOTALL)
_NAMED = re.compile(rf"\b(?:pages?|pp?\.|pg\.?|seite)\s*{_PAGE_NUMBER}")
_SEPARATOR = re.compile(r"[|•·∙/–—:~*-]\s*$|^\s*[|•·∙/–—:~*-]")
_WORD = re.compile(r"[^\W\d_]{2,}")


class PageHeader(NamedTuple):
    """A page header or footer that was left out of the text."""

    text: str
    """The text, with page numbers masked as `#`."""
    pages: int
    """Number of pages on which it occurs."""


class MarkedPages(NamedTuple):
    """Pages with marked headers and footers, and the list of those headers and footers."""

    pages: list[Page]
    left_out: list[PageHeader]
    """Page headers by descending frequency."""


class _MarginLine(NamedTuple):
    """A line in the margin of a page."""

    page: int
    line: Line
    text: str
    """The cleaned text in lower case."""
    is_large: bool
    """Whether the line has the size of a heading."""

    @property
    def place(self) -> tuple[int, int]:
        return self.page, self.line.start

    @property
    def family(self) -> str:
        """The text with all numbers masked as `#`."""
        return _NUMBER.sub("#", self.text)

    @property
    def numbers(self) -> tuple[str, ...]:
        return tuple(_NUMBER.findall(self.text))


class _NumberedLine(NamedTuple):
    """A line of the margin with a number that may be the page number."""

    line: _MarginLine
    number: int
    family: tuple[str, str]
    """(position of the number in the line, the other words)."""
    is_apart: bool
    """Whether the number is alone, marked as a page number, or separated from the other words."""
    span: tuple[int, int]
    """Position of the number in the clean text of the line."""

    @property
    def is_alone(self) -> bool:
        """Whether the line contains no other words, except `page`."""
        return not _WORD.search(self.family[1])

    @property
    def offset(self) -> int:
        """The number minus the number of the page in the file."""
        return self.number - self.line.page

    @property
    def masked(self) -> str:
        """The text of the line with `#` in place of the page number."""
        text, (start, end) = clean_text(self.line.line.text), self.span
        return f"{text[:start]}#{text[end:]}"


def mark_page_headers(pages: Sequence[Page]) -> MarkedPages:
    """Mark page headers and footers, and label pages with their printed numbers.

    The role of headers and footers becomes `PAGE_HEADER`. Pages that have a label already keep it.
    """
    lines = _find_margin_lines(pages)
    min_pages = min(MIN_PAGES, max(len(pages), 2))
    numbered, possible = _find_page_numbers(lines, min_pages)
    few = len(pages) < MIN_PAGES  # a title on both pages of a handout is text
    small = [line for line in lines if not (few and line.is_large)]
    texts = {line.place: line.line.text for line in _find_repeated(small, min_pages)}
    texts |= {number.line.place: number.masked for number in numbered}
    seen = Counter({(page, clean_text(text)) for (page, _), text in texts.items()})
    counts = Counter(text for _, text in seen)
    offset = _find_offset(numbered or possible)
    return MarkedPages(
        [_set_label(_set_roles(page, texts.keys()), offset) for page in pages],
        [
            PageHeader(*pair)
            for pair in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
        ],
    )


def _find_margin_lines(pages: Sequence[Page]) -> list[_MarginLine]:
    body = find_body_size(pages) or 0.0
    found: list[_MarginLine] = []
    for page in pages:
        if page.size is None or page.size[1] <= 0:
            continue
        margins = _Margins(page)
        found += [
            _MarginLine(
                page.page, line, clean_text(line.text).lower(), (line.size or 0.0) >= body * LARGER
            )
            for line in page.lines
            if margins.contains(line) and not margins.is_attached(line)
        ]
    return found


class _Margins:
    """The margins of a page, and the attachment of their lines to the text."""

    def __init__(self, page: Page) -> None:
        self._lines = [line for line in page.lines if line.box is not None]
        height = page.size[1] if page.size is not None else 0.0
        self._top, self._bottom = height * MARGIN, height * (1 - MARGIN)
        self._attached: dict[int, bool] = {}

    def contains(self, line: Line) -> bool:
        return self._is_at_top(line) or self._is_at_bottom(line)

    def is_attached(self, line: Line) -> bool:
        """Whether a margin line is connected to the text by lines with the usual gap.

        The result is stored for every line on the way to the text.
        """
        step = 1 if self._is_at_top(line) else -1
        way: list[int] = []
        while line.start not in self._attached:
            self._attached[line.start] = False
            way.append(line.start)
            inner = self._neighbour(line, step)
            if inner is None or _gap(line, inner) > self._usual_gap:
                return False
            if not self.contains(inner):
                self._attached |= dict.fromkeys(way, True)
                return True
            line = inner
        self._attached |= dict.fromkeys(way, self._attached[line.start])
        return self._attached[line.start]

    def _is_at_top(self, line: Line) -> bool:
        return line.box is not None and line.box[3] < self._top

    def _is_at_bottom(self, line: Line) -> bool:
        return line.box is not None and line.box[1] > self._bottom

    def _neighbour(self, line: Line, step: int) -> Line | None:
        """Return the nearest line below (`step` 1) or above (-1) that overlaps horizontally."""
        beyond = [
            other
            for other in self._lines
            if other is not line and _overlap(line, other) and _is_beyond(line, other, step)
        ]
        return min(beyond, key=lambda other: _gap(line, other), default=None)

    @cached_property
    def _usual_gap(self) -> float:
        gaps = [
            _gap(above, below)
            for above, below in pairwise(self._lines)
            if _overlap(above, below) and _is_beyond(above, below, 1)
        ]
        return max(median(gaps) * ATTACHED, median(gaps) + 1.0) if len(gaps) > 1 else 0.0


def _overlap(one: Line, other: Line) -> bool:
    return (
        one.box is not None
        and other.box is not None
        and one.box[0] < other.box[2]
        and other.box[0] < one.box[2]
    )


def _is_beyond(line: Line, other: Line, step: int) -> bool:
    if line.box is None or other.box is None:
        return False
    return (other.box[1] - line.box[1]) * step > 0 and (other.box[3] - line.box[3]) * step > 0


def _gap(one: Line, other: Line) -> float:
    """Return the vertical distance between two lines, in points; 0 if they overlap."""
    if one.box is None or other.box is None:
        return 0.0
    return max(0.0, other.box[1] - one.box[3], one.box[1] - other.box[3])


def _find_repeated(lines: Sequence[_MarginLine], min_pages: int) -> Iterator[_MarginLine]:
    """Yield the lines that repeat word for word (rule 1)."""
    families: dict[str, list[_MarginLine]] = defaultdict(list)
    for line in lines:
        families[line.family].append(line)
    for family in families.values():
        groups: dict[tuple[str, ...], list[_MarginLine]] = defaultdict(list)
        for line in family:
            groups[line.numbers].append(line)
        for group in groups.values():
            is_only = len(group) >= MIN_SAME_NUMBERS * len(family)
            if (is_only or _is_division(group[0])) and _is_dense(group, min_pages):
                smallest = min(line.line.size or 0.0 for line in group)
                yield from (e for e in group if (e.line.size or 0.0) <= smallest * MAX_LARGER)


def _is_dense(group: Sequence[_MarginLine], min_pages: int) -> bool:
    """Whether equal lines are on enough pages, relative to the pages between the first and last."""
    numbers = sorted({line.page for line in group})
    span = numbers[-1] - numbers[0] + 1
    return len(numbers) >= min_pages and len(numbers) >= MIN_DENSITY * span


def _is_division(line: _MarginLine) -> bool:
    return line.text.split(" ", 1)[0] in DIVISIONS


def _find_page_numbers(
    lines: Sequence[_MarginLine], min_pages: int
) -> tuple[list[_NumberedLine], list[_NumberedLine]]:
    """Return (page numbers according to rule 2, possible page numbers).

    Possible page numbers increase with the pages, but are not certain to be page numbers.
    """
    families: dict[tuple[str, str], list[_NumberedLine]] = defaultdict(list)
    for line in lines:
        for numbered in _find_numbers(line):
            families[numbered.family].append(numbered)
    certain: list[_NumberedLine] = []
    uncertain: list[list[_NumberedLine]] = []
    for family in families.values():
        sequence = _select_sequences(family, min_pages)
        if len(sequence) < MIN_IN_SEQUENCE * len(family):
            continue
        is_apart = any(numbered.is_apart for numbered in sequence)
        if is_apart or len(_WORD.findall(sequence[0].line.text)) >= MIN_WORDS:
            certain += sequence
        else:
            uncertain.append(sequence)
    certain = _drop_contradicted(certain)
    certain += _confirm(uncertain, {numbered.line.page for numbered in certain})
    return certain, [numbered for family in uncertain for numbered in family]


def _drop_contradicted(certain: Sequence[_NumberedLine]) -> list[_NumberedLine]:
    """Drop a number beside words if its page has another number alone in a line.

    Such a number (`Save DC 11`, `continues on p. 12`) is content, and so are all numbers of its
    family.
    """
    offsets: dict[int, set[int]] = defaultdict(set)
    for numbered in certain:
        if numbered.is_alone:
            offsets[numbered.line.page].add(numbered.offset)
    contradicted = {
        numbered.family
        for numbered in certain
        if numbered.offset not in offsets.get(numbered.line.page, {numbered.offset})
    }
    return [numbered for numbered in certain if numbered.family not in contradicted]


def _confirm(uncertain: Sequence[list[_NumberedLine]], taken: set[int]) -> list[_NumberedLine]:
    """Return the numbers beside a single word (`Spells 115`) that are page numbers.

    They are page numbers if numbers beside another word have the same offset on other pages, and if
    their own pages have no other number in sequence.
    """
    page_sets = [{numbered.line.page for numbered in family} for family in uncertain]
    confirmed: list[_NumberedLine] = []
    for index, (family, pages) in enumerate(zip(uncertain, page_sets, strict=True)):
        others = [
            (other, other_pages)
            for other_index, (other, other_pages) in enumerate(
                zip(uncertain, page_sets, strict=True)
            )
            if other_index != index
        ]
        is_contested = bool(pages & taken) or any(pages & other_pages for _, other_pages in others)
        if not is_contested and any(other[0].offset == family[0].offset for other, _ in others):
            confirmed += family
    return confirmed


def _find_numbers(line: _MarginLine) -> Iterator[_NumberedLine]:
    """Yield the numbers of a line that may be page numbers: alone, first, last, or after `page`."""
    if named := _NAMED.search(line.text):
        rest = line.text[: named.start()] + line.text[named.end() :]
        yield _NumberedLine(line, int(named[1]), ("named", _family_key(rest)), True, named.span(1))
        return
    first, last = _FIRST.match(line.text), _LAST.match(line.text)
    if not _WORD.search(line.text):
        if first is not None and not _NUMBER.search(first["rest"]):
            yield _NumberedLine(line, int(first[1]), ("alone", ""), True, first.span(1))
        return
    if line.is_large:
        return
    for match, place in ((first, "first"), (last, "last")):
        if match is not None:
            rest = match["rest"]
            is_apart = bool(_SEPARATOR.search(rest)) or line.line.role is Role.ROW
            group = 1 if place == "first" else 2
            key = (place, _family_key(rest))
            yield _NumberedLine(line, int(match[group]), key, is_apart, match.span(group))


def _family_key(rest: str) -> str:
    return match_key(rest) or rest.strip()


def _select_sequences(family: Sequence[_NumberedLine], min_pages: int) -> list[_NumberedLine]:
    """Return the lines in runs of at least `min_pages` whose numbers increase with the pages."""
    ordered = sorted(family, key=lambda numbered: (numbered.line.page, numbered.offset))
    runs: list[list[_NumberedLine]] = []
    for numbered in ordered:
        before = runs[-1][-1] if runs else None
        if before and before.offset == numbered.offset:
            runs[-1].append(numbered)
        else:
            runs.append([numbered])
    return [
        numbered
        for run in runs
        if len({each.line.page for each in run}) >= min_pages
        for numbered in run
    ]


def _set_roles(page: Page, places: Collection[tuple[int, int]]) -> Page:
    if not any((page.page, line.start) in places for line in page.lines):
        return page
    lines = tuple(
        line._replace(role=Role.PAGE_HEADER) if (page.page, line.start) in places else line
        for line in page.lines
    )
    return page.model_copy(update={"lines": lines})


def _find_offset(numbers: Sequence[_NumberedLine]) -> int | None:
    """Return the printed number minus the page of the file; None unless enough pages agree."""
    votes = Counter({(numbered.line.page, numbered.offset) for numbered in numbers})
    by_offset = Counter(offset for _, offset in votes)
    if not by_offset:
        return None
    offset, count = min(by_offset.items(), key=lambda vote: (-vote[1], abs(vote[0])))
    pages = {page for page, _ in votes}
    return offset if count >= max(2, MIN_AGREEING * len(pages)) else None


def _set_label(page: Page, offset: int | None) -> Page:
    """Set the label of a page to its printed number, unless the file has a label for it."""
    if page.label is not None or offset is None or page.page + offset < 1:
        return page
    return page.model_copy(update={"label": str(page.page + offset)})


def index_printed_pages(pages: Sequence[Page]) -> Mapping[str, int]:
    """Map the match key of each page label to the first page of the file that has it."""
    return {match_key(page.label): page.page for page in reversed(pages) if page.label is not None}
