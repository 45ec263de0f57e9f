"""Sections: headings in a tree, each with an id that outlives errata and new page breaks."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from filmgate.core.books import Page
from filmgate.core.digest import sha256_hex
from filmgate.core.rulebook import Place, Section
from filmgate.pipelines.rulebook.rules.contents import Contents, Entry
from filmgate.pipelines.rulebook.rules.styles import SAME_SIZE
from filmgate.pipelines.rulebook.rules.text import key

Position = tuple[int, int]
"""(page, line), from 1 and 0: where something stands in the order of the file."""


def short_id(*parts: str) -> str:
    """Twenty hex digits that stand for some words: 80 bits, of which two of a million books'
    chunks would be the same once in a million years."""
    return sha256_hex("\x1f".join(parts).encode("utf-8"))[:20]


def sections(
    book_id: str, found: Contents, pages: Sequence[Page]
) -> tuple[tuple[Section, ...], tuple[Section, ...]]:
    """The sections of a book's table of contents, and those that it lacks."""
    labels = {page.page: page.label for page in pages}
    last = pages[-1].page
    names: Counter[str] = Counter()
    listed = _tree(book_id, found.entries, labels, names)
    within = _Reading(listed)
    above = _Above(listed, pages)
    unlisted = []
    for entry in found.unlisted:
        in_force = within.at(_position(entry.place)) if entry.place else None
        parent = above.parent(entry, in_force)
        unlisted.append(_section(book_id, entry, parent, labels, names))
    ends = _ends(listed, last)
    return (
        tuple(s.model_copy(update={"page_end": ends[s.section_id]}) for s in listed),
        tuple(unlisted),
    )


class _Reading:
    """Which section is in force at a place."""

    def __init__(self, located: Iterable[Section]) -> None:
        placed = [(_position(s.place), s) for s in located if s.place is not None]
        self._order = sorted(placed, key=lambda pair: pair[0])
        self._at = 0

    def at(self, position: Position) -> Section | None:
        """The section that was begun last; positions are asked for in order."""
        while self._at < len(self._order) and self._order[self._at][0] <= position:
            self._at += 1
        return self._order[self._at - 1][1] if self._at else None


class _Above:
    """Below which section a heading belongs that the table of contents lacks."""

    def __init__(self, listed: Iterable[Section], pages: Sequence[Page]) -> None:
        self._sections = {each.section_id: each for each in listed}
        self._lines = {page.page: page.lines for page in pages}

    def parent(self, entry: Entry, in_force: Section | None) -> Section | None:
        """The section that was begun last, or the nearest above it in larger letters: a heading in
        the same letters is beside it."""
        size = self._size(entry.place)
        parent = in_force
        while parent is not None and size is not None:
            larger = self._size(parent.place)
            if larger is None or larger > size + SAME_SIZE:
                break
            parent = self._sections.get(parent.parent_id or "")
        return parent

    def _size(self, place: Place | None) -> float | None:
        return self._lines[place.page][place.line].size if place is not None else None


def _position(place: Place) -> Position:
    return (place.page, place.line)


def _tree(
    book_id: str, entries: Iterable[Entry], labels: dict[int, str | None], names: Counter[str]
) -> list[Section]:
    """Entries as sections, each below the nearest one before it that is higher up."""
    made: list[Section] = []
    open_above: list[Section] = []
    for entry in _as_listed(list(entries)):
        while open_above and open_above[-1].level >= entry.level:
            open_above.pop()
        parent = open_above[-1] if open_above else None
        made.append(_section(book_id, entry, parent, labels, names))
        open_above.append(made[-1])
    return made


def _as_listed(entries: Sequence[Entry]) -> Iterator[Entry]:
    """Entries; those with others below them go by their own titles, whatever is like them on their
    page: `Monsters (A-Z)` is not the `Monsters (A)` that it begins with."""
    for number, entry in enumerate(entries):
        has_more = number + 1 < len(entries) and entries[number + 1].level > entry.level
        yield entry._replace(printed=None) if has_more else entry


def _section(
    book_id: str,
    entry: Entry,
    parent: Section | None,
    labels: dict[int, str | None],
    names: Counter[str],
) -> Section:
    above = parent.section_id if parent else book_id
    name = f"{above}\x1f{key(entry.title)}"
    names[name] += 1
    return Section(
        section_id=short_id("section", name, str(names[name])),
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


def _ends(listed: Sequence[Section], last_page: int) -> dict[str, int]:
    """The last page of each section. What counts is where headings stand, not how the table of
    contents runs on: outlines lead back and forth."""
    order = sorted(_in_order(listed), key=_begins)
    ends = {s.section_id: s.page_start for s in listed}
    still_open: list[Section] = []
    for each in order:
        while still_open and still_open[-1].level >= each.level:
            closed = still_open.pop()
            ends[closed.section_id] = max(_page(closed), _page(each))
        still_open.append(each)
    for each in still_open:
        ends[each.section_id] = last_page
    below = {s.section_id: s for s in listed}
    for each in reversed(listed):
        parent = below.get(each.parent_id or "")
        if parent is not None and parent.place is None:
            end = max(ends[parent.section_id], ends[each.section_id])
            ends[parent.section_id] = max(end, parent.page_start)
    return ends


def _in_order(listed: Sequence[Section]) -> list[Section]:
    """Those that stand on a page, and those astray that lie between their neighbours."""
    following: list[int] = []
    ahead = None
    for each in reversed(listed):
        following.append(ahead if ahead is not None else each.page_start)
        ahead = each.place.page if each.place else ahead
    kept, last = [], 0
    for each, beyond in zip(listed, reversed(following), strict=True):
        if each.place is not None or last <= each.page_start <= beyond:
            kept.append(each)
            last = _page(each)
    return kept


def _begins(section: Section) -> Position:
    """Where it begins; one that is astray, at the top of its page."""
    return _position(section.place) if section.place else (section.page_start, -1)


def _page(section: Section) -> int:
    return section.place.page if section.place else section.page_start


def breadcrumbs(all_sections: Iterable[Section]) -> dict[str, tuple[str, ...]]:
    """The titles down to each section, by its id; parents come before their children. Letters that
    only stand in the table of contents are left out."""
    paths: dict[str, tuple[str, ...]] = {}
    for each in all_sections:
        above = paths.get(each.parent_id or "", ())
        is_letter = each.place is None and len(key(each.name)) == 1
        paths[each.section_id] = above if is_letter else (*above, each.name)
    return paths
