"""Tables of contents: of the file, printed, or none; and what of them stands on its page."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from difflib import SequenceMatcher
from functools import cached_property
from typing import NamedTuple

from filmgate.core.books import LEFT_OUT, BookFacts, Line, Page, Role
from filmgate.core.rulebook import Method, Place, Section
from filmgate.pipelines.rulebook.rules.page_headers import printed_pages
from filmgate.pipelines.rulebook.rules.styles import Heading, headings, levels
from filmgate.pipelines.rulebook.rules.text import cleaned, folded, key

MIN_LIKENESS = 0.84
"""Of a title to a heading on its page, to be called a misspelling of it (Ratcliff/Obershelp).
"Lighning Bolt" is 0.96 like "Lightning Bolt"; other titles of one page stay below 0.7."""

RUN_IN_LETTERS = 4
MAX_CONTENTS_PAGES = 30
MIN_CONTENTS_LINES = 5
MIN_CONFIRMED = 0.5
"""Of the entries of a printed table of contents that must stand on their pages: else it is an
index, or another book's."""

_UNPRINTED = re.compile(r"^(table|sidebar|side ?bar|figure|box)\s*:\s*", re.IGNORECASE)
_PAGE_AT_END = re.compile(r"(?<=[.·…_\s])\d{1,4}$")
_LEADER = re.compile(r"(?:[.·…_] ?){3}|\s{3}|\t")


class Entry(NamedTuple):
    """A line of some table of contents, and where its heading was found."""

    title: str
    level: int
    page: int
    method: Method
    place: Place | None
    printed: str | None
    confidence: float
    evidence: str


class Contents(NamedTuple):
    """The sections of a book, and the headings that its table of contents lacks."""

    method: Method
    entries: list[Entry]
    unlisted: list[Entry]


def contents(facts: BookFacts, pages: Sequence[Page]) -> Contents:
    """What a book has for a table of contents: its outline, else the levels in its markup, else
    the printed one, else the looks of its headings."""
    looks = [each for each in headings(pages) if _has_text(each.title)]
    on_page: dict[int, list[Heading]] = defaultdict(list)
    for each in looks:
        on_page[each.page].append(each)
    index = {page.page: _Index(page, on_page[page.page]) for page in pages}
    if facts.outline:
        wanted = [(e.title, e.level + 1, e.page) for e in facts.outline if key(e.title)]
        listed = _checked(wanted, index, Method.OUTLINE)
        return Contents(Method.OUTLINE, listed, _unlisted(looks, listed))
    if marked := _marked(pages):
        return Contents(Method.MARKUP, marked, [])
    listed = _checked(_printed_contents(pages), index, Method.PRINTED_CONTENTS)
    if listed and sum(e.place is not None for e in listed) >= MIN_CONFIRMED * len(listed):
        return Contents(Method.PRINTED_CONTENTS, listed, _unlisted(looks, listed))
    kept = [each for each in looks if not each.is_label]
    return Contents(Method.FONT_STYLE, _by_looks(kept), _by_looks([h for h in looks if h.is_label]))


def _has_text(title: str) -> bool:
    return bool(key(title))


def _marked(pages: Sequence[Page]) -> list[Entry]:
    """Headings that the file itself says are headings."""
    return [
        Entry(
            title=cleaned(line.text),
            level=line.level or 1,
            page=page.page,
            method=Method.MARKUP,
            place=Place(page=page.page, line=number),
            printed=None,
            confidence=1.0,
            evidence=f"marked as a heading of level {line.level}",
        )
        for page in pages
        for number, line in enumerate(page.lines)
        if line.role is Role.HEADING and key(line.text)
    ]


def _by_looks(found: Sequence[Heading]) -> list[Entry]:
    return [
        Entry(
            title=each.title,
            level=level,
            page=each.page,
            method=Method.FONT_STYLE,
            place=Place(page=each.page, line=each.line, lines=each.lines),
            printed=None,
            confidence=0.4 if each.is_label else 0.7,
            evidence=f"letters of {each.size:g} points",
        )
        for each, level in zip(found, levels(found), strict=True)
    ]


def _unlisted(looks: Sequence[Heading], listed: Sequence[Entry]) -> list[Entry]:
    """Headings on the pages that no entry was found at."""
    taken = {
        (e.place.page, e.place.line + n) for e in listed if e.place for n in range(e.place.lines)
    }
    return _by_looks([each for each in looks if (each.page, each.line) not in taken])


def found_again(listed: Iterable[Section], pages: Sequence[Page]) -> list[Section]:
    """The same sections on pages that another reader made of the book, where they stand there."""
    index = {page.page: _Index(page, []) for page in pages}
    last: dict[int, int] = {}
    made: list[Section] = []
    for each in listed:
        page = each.place.page if each.place else each.page_start
        found = index[page].find(each.name, last.get(page, -1)) if page in index else None
        place = found[0] if found else None
        if place is not None:
            last[page] = place.line + place.lines - 1
        made.append(each.model_copy(update={"place": place}))
    return made


class _Index:
    """The lines of a page by what titles may look for."""

    def __init__(self, page: Page, looks: Sequence[Heading]) -> None:
        self.page = page.page
        self.lines = page.lines
        self.keys = [key(line.text) if line.role not in LEFT_OUT else "" for line in page.lines]
        self.looks = looks

    def find(self, title: str, after: int) -> tuple[Place, str] | None:
        """Where a title stands, the first place behind line `after` if it can be, and how it is
        told: as a line, as several, or as the beginning of one."""
        wanted = key(title)
        alone = self._alone.get(wanted)
        if alone:
            number = next((each for each in alone if each > after), alone[0])
            return self._place(number, 1), "stands on the page as written"
        if wanted in self._together:
            number, count = self._together[wanted]
            return self._place(number, count), f"stands on the page in {count} lines"
        for number in self._beginning.get(wanted[:RUN_IN_LETTERS], ()):
            if self.keys[number].startswith(wanted) and self._is_run_in(self.lines[number], title):
                return self._place(number, 1), "begins a paragraph on the page"
        return None

    @cached_property
    def _alone(self) -> dict[str, list[int]]:
        """Where lines stand, by what they have in common with other spellings."""
        found: dict[str, list[int]] = defaultdict(list)
        for number, each in enumerate(self.keys):
            if each:
                found[each].append(number)
        return found

    @cached_property
    def _together(self) -> dict[str, tuple[int, int]]:
        """The same of lines joined with one or two below: (line, how many)."""
        found: dict[str, tuple[int, int]] = {}
        for count in (2, 3):
            for number in range(len(self.keys) - count + 1):
                if joined := self._joined(number, count):
                    found.setdefault(joined, (number, count))
        return found

    @cached_property
    def _beginning(self) -> dict[str, list[int]]:
        begun: dict[str, list[int]] = defaultdict(list)
        for number, each in enumerate(self.keys):
            for length in range(1, RUN_IN_LETTERS + 1):
                if len(each) >= length:
                    begun[each[:length]].append(number)
        return begun

    def resembling(self, title: str) -> tuple[Place, str] | None:
        """The heading on the page that is most like a title that is not there, and how it is
        printed."""
        wanted = key(title)
        likeness = [
            (SequenceMatcher(None, wanted, key(each.title)).ratio(), each) for each in self.looks
        ]
        best = max(likeness, key=lambda pair: (pair[0], -pair[1].line), default=None)
        if best is None or best[0] < MIN_LIKENESS:
            return None
        return Place(page=self.page, line=best[1].line, lines=best[1].lines), best[1].title

    def _place(self, line: int, lines: int) -> Place:
        return Place(page=self.page, line=line, lines=lines)

    def _joined(self, number: int, count: int) -> str:
        parts = self.keys[number : number + count]
        return "".join(parts) if all(parts) else ""

    @staticmethod
    def _is_run_in(line: Line, title: str) -> bool:
        """Whether a title is followed by the end of a phrase."""
        rest = folded(line.text).removeprefix(folded(title))
        return rest != folded(line.text) and rest[:1] in {".", ":"}


def _checked(
    wanted: Sequence[tuple[str, int, int | None]], index: Mapping[int, _Index], method: Method
) -> list[Entry]:
    """Entries, each looked for on its page."""
    entries: list[Entry] = []
    last: dict[int, int] = {}
    for title, level, page in wanted:
        plain = cleaned(title)
        if page is None or page not in index:
            entries.append(_astray(plain, level, page or 1, method, "leads to no page"))
            continue
        entry = _looked_for(plain, level, index[page], last.get(page, -1), method)
        if entry.place is not None:
            last[page] = entry.place.line + entry.place.lines - 1
        entries.append(entry)
    return entries


def _looked_for(title: str, level: int, index: _Index, after: int, method: Method) -> Entry:
    page = index.page
    found = index.find(title, after)
    printed = None
    confidence = 1.0
    if found is None and (bare := _UNPRINTED.sub("", title)) != title and key(bare):
        found, printed, confidence = index.find(bare, after), bare, 0.9
    if found is not None:
        place, evidence = found
        return Entry(title, level, page, method, place, printed, confidence, evidence)
    like = index.resembling(_UNPRINTED.sub("", title))
    if like is None:
        return _astray(title, level, page, method, "does not stand on its page")
    place, printed = like
    evidence = f"does not stand on its page as written, but {printed!r} does"
    return Entry(title, level, page, method, place, printed, 0.6, evidence)


def _astray(title: str, level: int, page: int, method: Method, why: str) -> Entry:
    return Entry(title, level, page, method, None, None, 0.3, why)


def _printed_contents(pages: Sequence[Page]) -> list[tuple[str, int, int | None]]:
    """(title, level, page) of every line of a table of contents that is printed in front."""
    numbered = printed_pages(pages)
    found: list[tuple[str, float, int]] = []
    for page in pages[:MAX_CONTENTS_PAGES]:
        lines = [(line, _contents_line(line)) for line in page.lines]
        listed = [(line, read) for line, read in lines if read is not None]
        if len(listed) < MIN_CONTENTS_LINES or len(listed) < len(page.lines) / 3:
            continue
        found += [(title, line.box[0] if line.box else 0.0, n) for line, (title, n) in listed]
    indents = sorted({round(x / 4) for _, x, _ in found})
    deep = {indent: min(depth, 6) for depth, indent in enumerate(indents, start=1)}
    return [
        (title, deep[round(x / 4)], numbered.get(str(number), number if not numbered else None))
        for title, x, number in found
    ]


def _contents_line(line: Line) -> tuple[str, int] | None:
    """(title, printed page) of a line with leaders, or with a gap, before a number."""
    raw = line.text.replace("\r", "\t").rstrip()
    number = _PAGE_AT_END.search(raw)
    if number is None or line.role in LEFT_OUT:
        return None
    if line.role is not Role.ROW and not _LEADER.search(raw):
        return None
    title = cleaned(raw[: number.start()]).rstrip(" ._·…")
    return (title, int(number[0])) if key(title) else None
