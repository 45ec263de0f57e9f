"""Page headers and footers: lines of the margins that repeat, and page numbers in sequence.

A line is left out of the text only where one of these rules finds it in the margin of a page:

1. The same words on several pages that follow each other (or every second one), set apart from the
   text, and never with other numbers in them elsewhere.
2. A page number: alone in its line, or in a line whose other words repeat, counting on with the
   pages.

Everything else is text: numbers that differ (armor classes, spell ranges, rows of a table) are
what a rule says.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from statistics import median
from typing import NamedTuple

from filmgate.core.books import Line, Page, Role
from filmgate.pipelines.rulebook.rules.styles import LARGER, body_size
from filmgate.pipelines.rulebook.rules.text import cleaned, key

MARGIN = 0.1
"""Share of the page's height, at its top and at its bottom, in which headers and footers stand.
Typesetters' margins are 0.07 to 0.12 of it."""

MIN_PAGES = 3
"""Pages on which a line must repeat; all pages, where there are fewer."""

MIN_DENSITY = 0.4
"""Share of the pages between its first and its last on which a header stands. One on every second
page has 0.5, less where chapters open without it; fields of cards are scattered."""

MIN_SAME_NUMBERS = 0.9
"""Share of the lines of equal words that have equal numbers too, from which another number is taken
for an error of reading, not for content."""

MAX_LARGER = 1.2
"""Ratio to the smallest size in which the same words stand in margins: the title of a chapter is
larger than its running head, and is text."""

MIN_IN_SEQUENCE = 0.8
"""Share of the numbers in lines of equal words that count on with the pages, from which they are
page numbers."""

MIN_WORDS = 2
"""Words beside a page number that is not set apart from them. A single one (`Challenge 4`) may be a
field that counts on by chance."""

MIN_AGREEING = 0.5
"""Share of the numbered pages that must count as the file does for the offset to be known."""

ATTACHED = 1.3
"""Ratio to the usual gap between lines up to which a line belongs to the text below or above."""

DIVISIONS = frozenset({"chapter", "part", "section", "book", "appendix", "volume", "act", "module"})
"""Words whose number changes from one run of page headers to the next."""

_NUMBER = re.compile(r"\d+")
_PAGE_NUMBER = r"(?<![\w.,])(\d{1,4})(?![\w%°]|[.,]\d)"
_OF_ALL = r"(?:\s*(?:/|of|von|de|sur)\s*\d{1,4})?"
"""The number of all pages, behind a page number."""

_FIRST = re.compile(rf"^\W*{_PAGE_NUMBER}{_OF_ALL}(?P<rest>.*)$", re.DOTALL)
_LAST = re.compile(rf"^(?P<rest>.*?){_PAGE_NUMBER}{_OF_ALL}\W*$", re.DOTALL)
_NAMED = re.compile(rf"\b(?:pages?|pp?\.|pg\.?|seite)\s*{_PAGE_NUMBER}")
_SEPARATOR = re.compile(r"[|•·∙/–—:~*-]\s*$|^\s*[|•·∙/–—:~*-]")
_WORD = re.compile(r"[^\W\d_]{2,}")


class Repeated(NamedTuple):
    """What was left out of the text as a page header or footer."""

    text: str
    """Page numbers are masked as `#`."""
    pages: int


class Marked(NamedTuple):
    """Pages with their headers and footers marked, and what these were."""

    pages: list[Page]
    left_out: list[Repeated]
    """The most frequent first."""


class _MarginLine(NamedTuple):
    """A line in the margin of a page."""

    page: int
    line: Line
    text: str
    is_large: bool

    @property
    def place(self) -> tuple[int, int]:
        return self.page, self.line.start

    @property
    def family(self) -> str:
        """Its words, whatever its numbers are."""
        return _NUMBER.sub("#", self.text)

    @property
    def numbers(self) -> tuple[str, ...]:
        return tuple(_NUMBER.findall(self.text))


class _Numbered(NamedTuple):
    """A line of the margin with a number that may be the page's."""

    line: _MarginLine
    number: int
    family: tuple[str, str]
    """Where the number stands in the line, and the other words."""
    is_apart: bool
    """Whether the number is alone, marked as a page number, or set apart from the other words."""

    @property
    def offset(self) -> int:
        return self.number - self.line.page

    @property
    def masked(self) -> str:
        """The text of the line with `#` in place of the page number."""
        text = self.line.line.text
        pattern = rf"(?<!\d){self.number}(?!\d)"
        places = [found.span() for found in re.finditer(pattern, text)]
        if not places:  # written otherwise, such as 007
            return text
        start, end = places[-1 if self.family[0] == "last" else 0]
        return f"{text[:start]}#{text[end:]}"


def mark_page_headers(pages: Sequence[Page]) -> Marked:
    """Give page headers and footers the role `furniture`, and pages without a label of their own
    their printed number as label."""
    lines = _margin_lines(pages)
    due = min(MIN_PAGES, max(len(pages), 2))
    numbered, possible = _page_numbers(lines, due)
    texts = {each.place: each.line.text for each in _repeated(lines, due)}
    texts |= {each.line.place: each.masked for each in numbered}
    seen = Counter({(page, cleaned(text)) for (page, _), text in texts.items()})
    counts = Counter(text for _, text in seen)
    offset = _offset(numbered or possible)
    return Marked(
        [_labelled(_marked(page, texts.keys()), offset) for page in pages],
        [Repeated(*each) for each in sorted(counts.items(), key=lambda each: (-each[1], each[0]))],
    )


def _margin_lines(pages: Sequence[Page]) -> list[_MarginLine]:
    body = body_size(pages) or 0.0
    found: list[_MarginLine] = []
    for page in pages:
        if page.size is None or page.size[1] <= 0:
            continue
        margin = _Margins(page)
        found += [
            _MarginLine(
                page.page, line, cleaned(line.text).lower(), (line.size or 0.0) >= body * LARGER
            )
            for line in page.lines
            if margin.has(line) and not margin.is_attached(line)
        ]
    return found


class _Margins:
    """The margins of one page, and which of their lines belong to the text."""

    def __init__(self, page: Page) -> None:
        self._lines = [line for line in page.lines if line.box is not None]
        height = page.size[1] if page.size is not None else 0.0
        self._top, self._bottom = height * MARGIN, height * (1 - MARGIN)

    def has(self, line: Line) -> bool:
        return self._is_at_top(line) or self._is_at_bottom(line)

    def is_attached(self, line: Line) -> bool:
        """Whether a line of a margin goes on into the text at the text's usual distance."""
        step = 1 if self._is_at_top(line) else -1
        seen = {line.start}
        while True:
            inner = self._neighbour(line, step)
            if inner is None or inner.start in seen or _gap(line, inner) > self._usual_gap:
                return False
            if not self.has(inner):
                return True
            seen.add(inner.start)
            line = inner

    def _is_at_top(self, line: Line) -> bool:
        return line.box is not None and line.box[3] < self._top

    def _is_at_bottom(self, line: Line) -> bool:
        return line.box is not None and line.box[1] > self._bottom

    def _neighbour(self, line: Line, step: int) -> Line | None:
        """The next line below (`step` 1) or above (-1) that overlaps horizontally."""
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
    """The vertical distance between two lines; 0 where they overlap."""
    if one.box is None or other.box is None:
        return 0.0
    return max(0.0, other.box[1] - one.box[3], one.box[1] - other.box[3])


def _repeated(lines: Sequence[_MarginLine], due: int) -> Iterator[_MarginLine]:
    """Lines that repeat word for word, by rule 1."""
    families: dict[str, list[_MarginLine]] = defaultdict(list)
    for each in lines:
        families[each.family].append(each)
    for family in families.values():
        equal: dict[tuple[str, ...], list[_MarginLine]] = defaultdict(list)
        for each in family:
            equal[each.numbers].append(each)
        for group in equal.values():
            is_only = len(group) >= MIN_SAME_NUMBERS * len(family)
            if (is_only or _is_division(group[0])) and _is_header(group, due):
                smallest = min(each.line.size or 0.0 for each in group)
                yield from (e for e in group if (e.line.size or 0.0) <= smallest * MAX_LARGER)


def _is_header(group: Sequence[_MarginLine], due: int) -> bool:
    numbers = sorted({each.page for each in group})
    span = numbers[-1] - numbers[0] + 1
    return len(numbers) >= due and len(numbers) >= MIN_DENSITY * span


def _is_division(line: _MarginLine) -> bool:
    return line.text.split(" ", 1)[0] in DIVISIONS


def _page_numbers(
    lines: Sequence[_MarginLine], due: int
) -> tuple[list[_Numbered], list[_Numbered]]:
    """Numbers that count on with the pages, by rule 2; and others that do, whose lines stay."""
    families: dict[tuple[str, str], list[_Numbered]] = defaultdict(list)
    for line in lines:
        for each in _numbers_of(line):
            families[each.family].append(each)
    sure: list[_Numbered] = []
    unsure: list[list[_Numbered]] = []
    for family in families.values():
        counting = _in_sequence(family, due)
        if len(counting) < MIN_IN_SEQUENCE * len(family):
            continue
        is_clear = any(each.is_apart for each in counting)
        if is_clear or len(_WORD.findall(counting[0].line.text)) >= MIN_WORDS:
            sure += counting
        else:
            unsure.append(counting)
    sure += _confirmed(unsure, {each.line.page for each in sure})
    return sure, [each for family in unsure for each in family]


def _confirmed(unsure: Sequence[list[_Numbered]], taken: set[int]) -> list[_Numbered]:
    """Numbers beside a single word (`Spells 115`): page numbers where another word, on other
    pages, counts in the same way, and no other number does on these."""
    pages = [{each.line.page for each in family} for family in unsure]
    confirmed: list[_Numbered] = []
    for at, (family, own) in enumerate(zip(unsure, pages, strict=True)):
        others = [
            (other, theirs)
            for number, (other, theirs) in enumerate(zip(unsure, pages, strict=True))
            if number != at
        ]
        is_contested = bool(own & taken) or any(own & theirs for _, theirs in others)
        if not is_contested and any(other[0].offset == family[0].offset for other, _ in others):
            confirmed += family
    return confirmed


def _numbers_of(line: _MarginLine) -> Iterator[_Numbered]:
    """The numbers of a line that may be the page's: alone, first, last, or behind `page`."""
    if named := _NAMED.search(line.text):
        rest = line.text[: named.start()] + line.text[named.end() :]
        yield _Numbered(line, int(named[1]), ("named", _family(rest)), is_apart=True)
        return
    first, last = _FIRST.match(line.text), _LAST.match(line.text)
    if not _WORD.search(line.text):
        if first is not None and not _NUMBER.search(first["rest"]):
            yield _Numbered(line, int(first[1]), ("alone", ""), is_apart=True)
        return
    if line.is_large:
        return
    for found, place in ((first, "first"), (last, "last")):
        if found is not None:
            is_apart = bool(_SEPARATOR.search(found["rest"])) or line.line.role is Role.ROW
            number = found[1] if place == "first" else found[2]
            yield _Numbered(line, int(number), (place, _family(found["rest"])), is_apart=is_apart)


def _family(rest: str) -> str:
    return key(rest) or rest.strip()


def _in_sequence(family: Sequence[_Numbered], due: int) -> list[_Numbered]:
    """Those that count as the pages do together with their neighbours, `due` of them."""
    ordered = sorted(family, key=lambda each: each.line.place)
    runs: list[list[_Numbered]] = []
    for each in ordered:
        before = runs[-1][-1] if runs else None
        if before and before.offset == each.offset and before.line.page < each.line.page:
            runs[-1].append(each)
        else:
            runs.append([each])
    return [each for run in runs if len(run) >= due for each in run]


def _marked(page: Page, places: Collection[tuple[int, int]]) -> Page:
    if not any((page.page, line.start) in places for line in page.lines):
        return page
    lines = tuple(
        line._replace(role=Role.FURNITURE) if (page.page, line.start) in places else line
        for line in page.lines
    )
    return page.model_copy(update={"lines": lines})


def _offset(numbered: Sequence[_Numbered]) -> int | None:
    """Printed number less place in the file, where most numbered pages agree on it."""
    votes = Counter({(each.line.page, each.offset) for each in numbered})
    by_offset = Counter(offset for _, offset in votes)
    if not by_offset:
        return None
    offset, count = min(by_offset.items(), key=lambda vote: (-vote[1], abs(vote[0])))
    pages = {page for page, _ in votes}
    return offset if count >= max(2, MIN_AGREEING * len(pages)) else None


def _labelled(page: Page, offset: int | None) -> Page:
    """With its printed number; what the file itself says goes first."""
    if page.label is not None or offset is None or page.page + offset < 1:
        return page
    return page.model_copy(update={"label": str(page.page + offset)})


def printed_pages(pages: Sequence[Page]) -> Mapping[str, int]:
    """Place in the file, by printed number."""
    return {key(page.label): page.page for page in reversed(pages) if page.label is not None}
