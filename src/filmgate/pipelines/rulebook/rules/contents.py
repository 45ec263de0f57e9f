"""Tables of contents: read them from the outline, markup or pages, and locate their headings."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from difflib import SequenceMatcher
from functools import cached_property
from typing import NamedTuple

from filmgate.core.books import NON_TEXT_ROLES, BookFacts, Line, Page, Role
from filmgate.pipelines.rulebook.contracts import HeadingPlace, Method, Section
from filmgate.pipelines.rulebook.rules.page_headers import index_printed_pages
from filmgate.pipelines.rulebook.rules.styles import Heading, find_headings, rank_headings
from filmgate.pipelines.rulebook.rules.text import clean_text, fold_text, match_key

MIN_SIMILARITY = 0.84
"""Similarity (Ratcliff/Obershelp) from which a title is a misspelling of a heading on its page.
"Lighning Bolt" and "Lightning Bolt" have 0.96; different titles on one page have less than 0.7."""

RUN_IN_LETTERS = 4
"""Number of first letters by which lines are indexed, to find titles at the start of a
paragraph."""

MAX_CONTENTS_PAGES = 30
"""Number of first pages that are searched for a printed table of contents."""

MIN_CONTENTS_LINES = 5
"""Number of lines with page numbers from which a page may be a table of contents."""

MIN_CONFIRMED = 0.5
"""Share of the entries of a printed table of contents that must be found on their pages. With a
smaller share it is an index, or belongs to another book."""

_UNPRINTED = re.compile(r"^(table|sidebar|side ?bar|figure|box)\s*:\s*", re.IGNORECASE)
_PAGE_AT_END = re.compile(r"(?<=[.·…_\s])\d{1,4}$")
_LEADER = re.compile(r"(?:[.·…_] ?){3}|\s{3}|\t")


class ContentsEntry(NamedTuple):
    """An entry of a table of contents, and where its heading was found."""

    title: str
    level: int
    page: int
    method: Method
    place: HeadingPlace | None
    """Position of the heading; None if it was not found."""
    printed: str | None
    """The heading as printed on the page, if the entry has another spelling."""
    confidence: float
    evidence: str


class TableOfContents(NamedTuple):
    """The entries of a table of contents, and the headings that are missing from it."""

    method: Method
    entries: list[ContentsEntry]
    unlisted: list[ContentsEntry]


def find_contents(facts: BookFacts, pages: Sequence[Page]) -> TableOfContents:
    """Return the table of contents of a book.

    It comes from the outline of the file, else from the headings in its markup, else from a printed
    table of contents, else from the styles of the headings.
    """
    styled = [heading for heading in find_headings(pages) if match_key(heading.title)]
    styled_on: dict[int, list[Heading]] = defaultdict(list)
    for heading in styled:
        styled_on[heading.page].append(heading)
    index = {page.page: _PageIndex(page, styled_on[page.page]) for page in pages}
    if facts.outline:
        wanted = [(e.title, e.level + 1, e.page) for e in facts.outline if match_key(e.title)]
        listed = _locate_entries(wanted, index, Method.OUTLINE)
        return TableOfContents(Method.OUTLINE, listed, _find_unlisted(styled, listed))
    if marked := _marked_headings(pages):
        return TableOfContents(Method.MARKUP, marked, [])
    listed = _locate_entries(_read_printed_contents(pages), index, Method.PRINTED_CONTENTS)
    if listed and sum(e.place is not None for e in listed) >= MIN_CONFIRMED * len(listed):
        return TableOfContents(Method.PRINTED_CONTENTS, listed, _find_unlisted(styled, listed))
    titles = [heading for heading in styled if not heading.is_label]
    labels = [heading for heading in styled if heading.is_label]
    return TableOfContents(Method.FONT_STYLE, _style_entries(titles), _style_entries(labels))


def _marked_headings(pages: Sequence[Page]) -> list[ContentsEntry]:
    """Return the headings in the markup of the file."""
    return [
        ContentsEntry(
            title=clean_text(line.text),
            level=line.level or 1,
            page=page.page,
            method=Method.MARKUP,
            place=HeadingPlace(page=page.page, line=number),
            printed=None,
            confidence=1.0,
            evidence=f"marked as a heading of level {line.level}",
        )
        for page in pages
        for number, line in enumerate(page.lines)
        if line.role is Role.HEADING and match_key(line.text)
    ]


def _style_entries(headings: Sequence[Heading]) -> list[ContentsEntry]:
    return [
        ContentsEntry(
            title=heading.title,
            level=level,
            page=heading.page,
            method=Method.FONT_STYLE,
            place=HeadingPlace(page=heading.page, line=heading.line, lines=heading.lines),
            printed=None,
            confidence=0.4 if heading.is_label else 0.7,
            evidence=f"letters of {heading.size:g} points",
        )
        for heading, level in zip(headings, rank_headings(headings), strict=True)
    ]


def _find_unlisted(
    styled: Sequence[Heading], listed: Sequence[ContentsEntry]
) -> list[ContentsEntry]:
    """Return entries for the styled headings that are not in the table of contents."""
    taken = {
        (e.place.page, e.place.line + n) for e in listed if e.place for n in range(e.place.lines)
    }
    return _style_entries(
        [heading for heading in styled if (heading.page, heading.line) not in taken]
    )


def relocate_sections(listed: Iterable[Section], pages: Sequence[Page]) -> list[Section]:
    """Locate the headings of sections on pages that were made by another reader.

    The place of a heading that is not on these pages becomes None.
    """
    index = {page.page: _PageIndex(page, []) for page in pages}
    last_line: dict[int, int] = {}
    sections: list[Section] = []
    for section in listed:
        page = section.place.page if section.place else section.page_start
        found = index[page].find(section.name, last_line.get(page, -1)) if page in index else None
        place = found[0] if found else None
        if place is not None:
            last_line[page] = place.line + place.lines - 1
        sections.append(section.model_copy(update={"place": place}))
    return sections


class _PageIndex:
    """The lines of a page, indexed for the search of titles."""

    def __init__(self, page: Page, styled: Sequence[Heading]) -> None:
        self.page = page.page
        self.lines = page.lines
        self.keys = [
            match_key(line.text) if line.role not in NON_TEXT_ROLES else "" for line in page.lines
        ]
        self.styled = styled

    def find(self, title: str, after: int) -> tuple[HeadingPlace, str] | None:
        """Return the place of a title and the evidence for it; None if it is not on the page.

        A title is one line, several lines, or the start of a paragraph. Of several equal lines, the
        first one after line `after` is preferred.
        """
        wanted = match_key(title)
        numbers = self._single_lines.get(wanted)
        if numbers:
            number = next((number for number in numbers if number > after), numbers[0])
            return self._place(number, 1), "found on the page as written"
        if wanted in self._joined_lines:
            number, count = self._joined_lines[wanted]
            return self._place(number, count), f"found on the page in {count} lines"
        for number in self._prefixes.get(wanted[:RUN_IN_LETTERS], ()):
            if self.keys[number].startswith(wanted) and self._is_run_in(self.lines[number], title):
                return self._place(number, 1), "found at the start of a paragraph on the page"
        return None

    @cached_property
    def _single_lines(self) -> dict[str, list[int]]:
        """Line numbers by match key."""
        numbers: dict[str, list[int]] = defaultdict(list)
        for number, line_key in enumerate(self.keys):
            if line_key:
                numbers[line_key].append(number)
        return numbers

    @cached_property
    def _joined_lines(self) -> dict[str, tuple[int, int]]:
        """(first line, number of lines) by the match key of two or three successive lines."""
        found: dict[str, tuple[int, int]] = {}
        for count in (2, 3):
            for number in range(len(self.keys) - count + 1):
                if joined := self._joined_key(number, count):
                    found.setdefault(joined, (number, count))
        return found

    @cached_property
    def _prefixes(self) -> dict[str, list[int]]:
        """Line numbers by the first 1 to `RUN_IN_LETTERS` letters of their match keys."""
        numbers: dict[str, list[int]] = defaultdict(list)
        for number, line_key in enumerate(self.keys):
            for length in range(1, RUN_IN_LETTERS + 1):
                if len(line_key) >= length:
                    numbers[line_key[:length]].append(number)
        return numbers

    def find_similar(self, title: str) -> tuple[HeadingPlace, str] | None:
        """Return the place and the printed title of the heading that is most similar to a title.

        None if no heading is similar enough, see `MIN_SIMILARITY`.
        """
        wanted = match_key(title)
        similarity = [
            (SequenceMatcher(None, wanted, match_key(heading.title)).ratio(), heading)
            for heading in self.styled
        ]
        best = max(similarity, key=lambda pair: (pair[0], -pair[1].line), default=None)
        if best is None or best[0] < MIN_SIMILARITY:
            return None
        return HeadingPlace(page=self.page, line=best[1].line, lines=best[1].lines), best[1].title

    def _place(self, line: int, lines: int) -> HeadingPlace:
        return HeadingPlace(page=self.page, line=line, lines=lines)

    def _joined_key(self, number: int, count: int) -> str:
        parts = self.keys[number : number + count]
        return "".join(parts) if all(parts) else ""

    @staticmethod
    def _is_run_in(line: Line, title: str) -> bool:
        """Whether a line starts with a title that is followed by a full stop or a colon."""
        rest = fold_text(line.text).removeprefix(fold_text(title))
        return rest != fold_text(line.text) and rest[:1] in {".", ":"}


def _locate_entries(
    wanted: Sequence[tuple[str, int, int | None]], index: Mapping[int, _PageIndex], method: Method
) -> list[ContentsEntry]:
    """Search for each title on its page; `wanted` contains (title, level, page)."""
    entries: list[ContentsEntry] = []
    last_line: dict[int, int] = {}
    for title, level, page in wanted:
        plain = clean_text(title)
        if page is None or page not in index:
            entries.append(_unlocated(plain, level, page or 1, method, "its page does not exist"))
            continue
        entry = _locate_entry(plain, level, index[page], last_line.get(page, -1), method)
        if entry.place is not None:
            last_line[page] = entry.place.line + entry.place.lines - 1
        entries.append(entry)
    return entries


def _locate_entry(
    title: str, level: int, index: _PageIndex, after: int, method: Method
) -> ContentsEntry:
    page = index.page
    found = index.find(title, after)
    printed = None
    confidence = 1.0
    if found is None and (bare := _UNPRINTED.sub("", title)) != title and match_key(bare):
        found, printed, confidence = index.find(bare, after), bare, 0.9
    if found is not None:
        place, evidence = found
        return ContentsEntry(title, level, page, method, place, printed, confidence, evidence)
    similar = index.find_similar(_UNPRINTED.sub("", title))
    if similar is None:
        return _unlocated(title, level, page, method, "not found on its page")
    place, printed = similar
    evidence = f"not found on its page as written, but as {printed!r}"
    return ContentsEntry(title, level, page, method, place, printed, 0.6, evidence)


def _unlocated(title: str, level: int, page: int, method: Method, evidence: str) -> ContentsEntry:
    return ContentsEntry(title, level, page, method, None, None, 0.3, evidence)


def _read_printed_contents(pages: Sequence[Page]) -> list[tuple[str, int, int | None]]:
    """Return (title, level, page) of each line of a table of contents on the first pages.

    The level follows from the indent; the page is None if the printed number is not on any page.
    """
    by_number = index_printed_pages(pages)
    found: list[tuple[str, float, int]] = []
    for page in pages[:MAX_CONTENTS_PAGES]:
        lines = [(line, _parse_contents_line(line)) for line in page.lines]
        listed = [(line, parsed) for line, parsed in lines if parsed is not None]
        if len(listed) < MIN_CONTENTS_LINES or len(listed) < len(page.lines) / 3:
            continue
        found += [(title, line.box[0] if line.box else 0.0, n) for line, (title, n) in listed]
    indents = sorted({round(x / 4) for _, x, _ in found})
    levels = {indent: min(level, 6) for level, indent in enumerate(indents, start=1)}
    return [
        (title, levels[round(x / 4)], by_number.get(str(number), number if not by_number else None))
        for title, x, number in found
    ]


def _parse_contents_line(line: Line) -> tuple[str, int] | None:
    """Return (title, printed page) of a line with leaders, or a gap, before a number; else None."""
    raw = line.text.replace("\r", "\t").rstrip()
    number = _PAGE_AT_END.search(raw)
    if number is None or line.role in NON_TEXT_ROLES:
        return None
    if line.role is not Role.ROW and not _LEADER.search(raw):
        return None
    title = clean_text(raw[: number.start()]).rstrip(" ._·…")
    return (title, int(number[0])) if match_key(title) else None
