"""Sections: a tree of headings, with ids that do not change with errata or page breaks."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from filmgate.core.books import Page
from filmgate.core.digest import sha256_hex
from filmgate.pipelines.rulebook.contracts import HeadingPlace, Section
from filmgate.pipelines.rulebook.rules.contents import ContentsEntry, TableOfContents
from filmgate.pipelines.rulebook.rules.styles import SAME_SIZE
from filmgate.pipelines.rulebook.rules.text import match_key

Position = tuple[int, int]
"""(page, line), from 1 and from 0: a position in the order of the file."""


def make_short_id(*parts: str) -> str:
    """Return the first 20 hex digits (80 bits) of the digest of strings.

    Among the chunks of a million books (about 5·10⁹), two ids are equal with a probability of 10⁻⁵.
    """
    return sha256_hex("\x1f".join(parts).encode("utf-8"))[:20]


def build_sections(
    book_id: str, contents: TableOfContents, pages: Sequence[Page]
) -> tuple[tuple[Section, ...], tuple[Section, ...]]:
    """Return the sections in the table of contents of a book, and those missing from it."""
    labels = {page.page: page.label for page in pages}
    last_page = pages[-1].page
    names: Counter[str] = Counter()
    listed = _build_tree(book_id, contents.entries, labels, names)
    current = _CurrentSection(listed)
    parents = _ParentFinder(listed, pages)
    unlisted = []
    for entry in contents.unlisted:
        section = current.at(_position(entry.place)) if entry.place else None
        parent = parents.find(entry, section)
        unlisted.append(_make_section(book_id, entry, parent, labels, names))
    ends = _find_ends(listed, last_page)
    return (
        tuple(s.model_copy(update={"page_end": ends[s.section_id]}) for s in listed),
        tuple(unlisted),
    )


class _CurrentSection:
    """The section that contains a position."""

    def __init__(self, listed: Iterable[Section]) -> None:
        placed = [(_position(s.place), s) for s in listed if s.place is not None]
        self._order = sorted(placed, key=lambda pair: pair[0])
        self._next = 0

    def at(self, position: Position) -> Section | None:
        """Return the last section that starts at or before a position.

        Positions of successive calls must ascend.
        """
        while self._next < len(self._order) and self._order[self._next][0] <= position:
            self._next += 1
        return self._order[self._next - 1][1] if self._next else None


class _ParentFinder:
    """Finds the parents of headings that are missing from the table of contents."""

    def __init__(self, listed: Iterable[Section], pages: Sequence[Page]) -> None:
        self._sections = {section.section_id: section for section in listed}
        self._lines = {page.page: page.lines for page in pages}

    def find(self, entry: ContentsEntry, current: Section | None) -> Section | None:
        """Return the innermost section around a heading whose own heading has larger letters.

        A section with letters of the same size is a sibling of the heading.
        """
        size = self._size(entry.place)
        parent = current
        while parent is not None and size is not None:
            larger = self._size(parent.place)
            if larger is None or larger > size + SAME_SIZE:
                break
            parent = self._sections.get(parent.parent_id or "")
        return parent

    def _size(self, place: HeadingPlace | None) -> float | None:
        return self._lines[place.page][place.line].size if place is not None else None


def _position(place: HeadingPlace) -> Position:
    return (place.page, place.line)


def _build_tree(
    book_id: str,
    entries: Iterable[ContentsEntry],
    labels: dict[int, str | None],
    names: Counter[str],
) -> list[Section]:
    """Make a section of each entry; its parent is the nearest entry before it of a higher level."""
    sections: list[Section] = []
    ancestors: list[Section] = []
    for entry in _restore_parent_titles(list(entries)):
        while ancestors and ancestors[-1].level >= entry.level:
            ancestors.pop()
        parent = ancestors[-1] if ancestors else None
        sections.append(_make_section(book_id, entry, parent, labels, names))
        ancestors.append(sections[-1])
    return sections


def _restore_parent_titles(entries: Sequence[ContentsEntry]) -> Iterator[ContentsEntry]:
    """Drop the printed spelling of entries that have children.

    For example, `Monsters (A-Z)` keeps this title, although its first page prints `Monsters (A)`.
    """
    for number, entry in enumerate(entries):
        has_children = number + 1 < len(entries) and entries[number + 1].level > entry.level
        yield entry._replace(printed=None) if has_children else entry


def _make_section(
    book_id: str,
    entry: ContentsEntry,
    parent: Section | None,
    labels: dict[int, str | None],
    names: Counter[str],
) -> Section:
    parent_id = parent.section_id if parent else book_id
    name = f"{parent_id}\x1f{match_key(entry.title)}"
    names[name] += 1
    return Section(
        section_id=make_short_id("section", name, str(names[name])),
        parent_id=parent.section_id if parent else None,
        level=max(entry.level, parent.level + 1 if parent else 1),
        title=entry.title,
        printed=entry.printed,
        page_start=entry.page,
        page_end=entry.page,
        page_label=labels.get(entry.page),
        place=entry.place,
        method=entry.method,
        confidence=entry.confidence,
        evidence=entry.evidence,
    )


def _find_ends(listed: Sequence[Section], last_page: int) -> dict[str, int]:
    """Return the last page of each section, by section id.

    It follows from the positions of the headings, not from the order of the entries: outlines may
    refer back and forth.
    """
    order = sorted(_plausible_sections(listed), key=_start_position)
    ends = {section.section_id: section.page_start for section in listed}
    still_open: list[Section] = []
    for section in order:
        while still_open and still_open[-1].level >= section.level:
            closed = still_open.pop()
            ends[closed.section_id] = max(_start_page(closed), _start_page(section))
        still_open.append(section)
    for section in still_open:
        ends[section.section_id] = last_page
    by_id = {section.section_id: section for section in listed}
    for section in reversed(listed):
        parent = by_id.get(section.parent_id or "")
        if parent is not None and parent.place is None:
            end = max(ends[parent.section_id], ends[section.section_id])
            ends[parent.section_id] = max(end, parent.page_start)
    return ends


def _plausible_sections(listed: Sequence[Section]) -> list[Section]:
    """Return the sections that were found on a page, and those at a plausible page.

    The page of a section that was not found is plausible if it is between the pages of its
    neighbours.
    """
    next_pages: list[int] = []
    next_page = None
    for section in reversed(listed):
        next_pages.append(next_page if next_page is not None else section.page_start)
        next_page = section.place.page if section.place else next_page
    plausible, last = [], 0
    for section, following in zip(listed, reversed(next_pages), strict=True):
        if section.place is not None or last <= section.page_start <= following:
            plausible.append(section)
            last = _start_page(section)
    return plausible


def _start_position(section: Section) -> Position:
    """Return where a section starts; one that was not found starts at the top of its page."""
    return _position(section.place) if section.place else (section.page_start, -1)


def _start_page(section: Section) -> int:
    return section.place.page if section.place else section.page_start


def build_breadcrumbs(all_sections: Iterable[Section]) -> dict[str, tuple[str, ...]]:
    """Return the titles from the top level to each section, by section id.

    Parents must come before their children. Titles of a single letter that are only in the table of
    contents are left out.
    """
    paths: dict[str, tuple[str, ...]] = {}
    for section in all_sections:
        parent_path = paths.get(section.parent_id or "", ())
        is_letter = section.place is None and len(match_key(section.name)) == 1
        paths[section.section_id] = parent_path if is_letter else (*parent_path, section.name)
    return paths
