"""The graph of a book: what its sections are about, and by which rule they hang together."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

from filmgate.core.rulebook import (
    Chunk,
    ChunkKind,
    Edge,
    Enriched,
    Graph,
    Node,
    Section,
    Term,
    Toc,
    Unresolved,
)
from filmgate.pipelines.rulebook.rules.sections import short_id
from filmgate.pipelines.rulebook.rules.terms import by_name, singular
from filmgate.pipelines.rulebook.rules.text import folded, key, slug

SECTION_KIND = "section"
MAX_EVIDENCE = 160

_SEE = re.compile(
    r"\b[Ss]ee\s+(?:the\s+|also\s+)?(?P<what>[“\"][^”\"]{3,60}[”\"]|[A-Z][\w'’-]+(?: (?:of|the|and|"
    r"or|to|in|with|[A-Z][\w'’-]+)){0,5})(?:\s+(?:section|chapter|appendix|table|sidebar|spell))?"
)


class Found(NamedTuple):
    """A relation, seen in one chunk."""

    type: str
    src: str
    dst: str
    rule: str
    chunk: Chunk
    evidence: str


def graph(toc: Toc, chunks: Sequence[Chunk], enriched: Sequence[Enriched]) -> Graph:
    """All nodes and edges of one book, sorted; every edge names rule, chunks and page."""
    known = _Known(toc, chunks)
    found = [*_tree(known), *_mentions(known, enriched)]
    unresolved: list[Unresolved] = []
    for chunk in chunks:
        if chunk.kind is ChunkKind.LIST:
            found += _list_entries(known, chunk, unresolved)
        if chunk.kind is ChunkKind.ROW:
            found += _row(known, chunk)
        else:
            found += _references(known, chunk, unresolved)
    edges = sorted(_edges(found), key=lambda each: (each.type, each.src, each.dst, each.rule))
    return Graph(
        nodes=tuple(sorted(known.nodes.values(), key=lambda each: each.node_id)),
        edges=tuple(edges),
        unresolved=tuple(unresolved),
    )


class _Known:
    """The sections of a book as nodes, and its terms by name."""

    def __init__(self, toc: Toc, chunks: Sequence[Chunk]) -> None:
        self.sections = {each.section_id: each for each in (*toc.sections, *toc.unlisted)}
        self.terms = by_name(toc.dictionary)
        self.kinds = {term.kind for term in toc.dictionary} - {SECTION_KIND}
        self.chunks = {each.chunk_id: each for each in chunks}
        self._term_of = {each.section_id: each for each in toc.dictionary}
        own: dict[str, list[Chunk]] = defaultdict(list)
        for chunk in chunks:
            if chunk.metadata.section_id is not None and chunk.kind is not ChunkKind.ROW:
                own[chunk.metadata.section_id].append(chunk)
        self.own = self._with_inherited(own)
        self.node_ids = dict(self._named(toc.book_id))
        self.named: dict[str, list[tuple[int, str]]] = defaultdict(list)
        for section_id, node_id in self.node_ids.items():
            section = self.sections[section_id]
            self.named[key(section.name)].append((section.level, node_id))
        self.nodes = {
            node_id: self._node(toc, section_id, node_id)
            for section_id, node_id in self.node_ids.items()
        }

    def _with_inherited(self, own: Mapping[str, list[Chunk]]) -> dict[str, list[Chunk]]:
        """A section without a chunk of its own stands in the first chunk below it."""
        found = dict(own)
        for section in reversed(self.sections.values()):
            mine, parent = found.get(section.section_id), section.parent_id
            if mine and parent is not None and not own.get(parent):
                found[parent] = mine[:1]
        return found

    def _named(self, book_id: str) -> Iterator[tuple[str, str]]:
        """(section, node id): by kind and name; where several have one, by their parents' too."""
        seen: Counter[str] = Counter()
        for section in self.sections.values():
            if not self.own.get(section.section_id):
                continue
            name = f"{slug(self.kind(section))}:{slug(section.name) or 'untitled'}"
            parent = self.sections.get(section.parent_id or "")
            if seen[f"{name}:{book_id}"] and parent is not None:
                name = f"{name}~{slug(parent.name)}"
            seen[f"{name}:{book_id}"] += 1
            count = seen[f"{name}:{book_id}"]
            yield section.section_id, f"{name}{f'~{count}' if count > 1 else ''}:{book_id}"

    def _node(self, toc: Toc, section_id: str, node_id: str) -> Node:
        section = self.sections[section_id]
        return Node(
            node_id=node_id,
            kind=self.kind(section),
            name=section.name,
            source_id=toc.source_id,
            chunk_ids=tuple(each.chunk_id for each in self.own[section_id]),
        )

    def kind(self, section: Section) -> str:
        """What kind of thing a section is about."""
        term = self._term_of.get(section.section_id)
        return term.kind if term is not None else SECTION_KIND

    def node_of(self, term: Term) -> str | None:
        """The node of a term."""
        return self.node_ids.get(term.section_id)

    def at(self, chunk: Chunk) -> str | None:
        """The node of the section that a chunk stands in."""
        return self.node_ids.get(chunk.metadata.section_id or "")

    def above(self, chunk: Chunk) -> Iterator[Section]:
        """The sections around a chunk, the innermost first."""
        section = self.sections.get(chunk.metadata.section_id or "")
        while section is not None:
            yield section
            section = self.sections.get(section.parent_id or "")

    def called(self, name: str) -> list[Term]:
        """The terms of that name."""
        return [t for t in self.terms.get(key(name), ()) if self.node_of(t) is not None]

    def resolve(self, name: str, kind: str | None = None) -> Term | None:
        """The term of that name (and kind), where there is one only."""
        terms = [term for term in self.called(name) if kind is None or term.kind == kind]
        return terms[0] if len(terms) == 1 else None

    @cached_property
    def owners(self) -> str | None:
        """What most of those are that have lists of their own: `Bard Spells` and its like."""
        kinds: Counter[str] = Counter()
        for section in self.sections.values():
            first, _, last = folded(section.name).rpartition(" ")
            kind = singular(last)
            if first and kind != last and kind in self.kinds:
                kinds.update({each.kind for each in self.called(first)})
        return max(kinds, key=lambda kind: (kinds[kind], kind), default=None)


def _tree(known: _Known) -> Iterator[Found]:
    for section in known.sections.values():
        src, dst = (
            known.node_ids.get(section.parent_id or ""),
            known.node_ids.get(section.section_id),
        )
        if src is not None and dst is not None:
            chunk = known.own[section.section_id][0]
            yield Found("contains", src, dst, "section tree", chunk, section.evidence)


def _mentions(known: _Known, enriched: Iterable[Enriched]) -> Iterator[Found]:
    terms = {term.term_id: term for named in known.terms.values() for term in named}
    for each in enriched:
        chunk = known.chunks.get(each.chunk_id)
        src = known.at(chunk) if chunk is not None else None
        if chunk is None or src is None or chunk.kind is ChunkKind.ROW:
            continue
        for entity in each.entities:
            term = terms.get(entity.term_id)
            dst = known.node_of(term) if term is not None else None
            if dst is not None and dst != src:
                said = each.normalized[max(0, entity.start - 40) : entity.end + 40]
                yield Found("mentions", src, dst, "dictionary term", chunk, said)


def _list_entries(known: _Known, chunk: Chunk, unresolved: list[Unresolved]) -> Iterator[Found]:
    """Lines of a list that are names of terms. A list called `Bard Spells` is the bard's, and has
    nothing but spells."""
    owner, kind = _owner(known, chunk)
    src = known.node_of(owner) if owner is not None else known.at(chunk)
    if src is None:
        return
    titles = {key(title) for title in chunk.breadcrumb}
    lines = [line for line in chunk.text.split("\n") if key(line) not in titles]
    number = 0
    while number < len(lines):
        term, taken = _entry(known, lines[number : number + 2], kind)
        dst = known.node_of(term) if term is not None else None
        if dst is not None and dst != src:
            said = " ".join(lines[number : number + taken])
            yield Found("lists", src, dst, "list entry", chunk, said)
        elif owner is not None and term is None:
            unresolved.append(_astray(chunk, "list entry", lines[number]))
        number += taken


def _entry(known: _Known, lines: Sequence[str], kind: str | None) -> tuple[Term | None, int]:
    """The term that a line names, or that it names with the next: names are broken over lines."""
    term = known.resolve(lines[0], kind)
    if term is not None or len(lines) == 1:
        return term, 1
    for joined in ("".join(lines), " ".join(lines)):
        if kind is not None and (term := known.resolve(joined, kind)) is not None:
            return term, 2
    return None, 1


def _owner(known: _Known, chunk: Chunk) -> tuple[Term | None, str | None]:
    """Whose list it is, and of which kind, by a title such as `Bard Spells` above it."""
    for section in known.above(chunk):
        first, _, last = folded(section.name).rpartition(" ")
        kind = singular(last)
        if first and kind != last and kind in known.kinds:
            owners = known.called(first)
            alike = [each for each in owners if each.kind == known.owners]
            if len(owners) == 1 or len(alike) == 1:
                return (alike or owners)[0], kind
    return None, None


def _row(known: _Known, chunk: Chunk) -> Iterator[Found]:
    """A row that begins with the name of a term."""
    src, row = known.at(chunk), folded(chunk.text.rpartition("\n")[2])
    words = row.split()
    for count in range(min(len(words), 6), 0, -1):
        term = known.resolve(" ".join(words[:count]))
        dst = known.node_of(term) if term is not None else None
        if dst is not None and src is not None and dst != src:
            yield Found("tabulates", src, dst, "table row", chunk, row)
            return


def _references(known: _Known, chunk: Chunk, unresolved: list[Unresolved]) -> Iterator[Found]:
    """`See …`: to a section or a term."""
    src = known.at(chunk)
    for found in _SEE.finditer(chunk.text):
        what = found["what"].strip('“”" ')
        term = known.resolve(what)
        dst = known.node_of(term) if term is not None else _section_named(known, what)
        if src is not None and dst is not None and dst != src:
            yield Found("refers to", src, dst, "see reference", chunk, found[0])
        elif dst is None:
            unresolved.append(_astray(chunk, "see reference", found[0]))


def _section_named(known: _Known, name: str) -> str | None:
    """The section of that name; of several, the one that is above all others."""
    nodes = known.named.get(key(name), [])
    highest = min((level for level, _ in nodes), default=0)
    top = [node for level, node in nodes if level == highest]
    return top[0] if len(top) == 1 else None


def _astray(chunk: Chunk, rule: str, text: str) -> Unresolved:
    return Unresolved(
        chunk_id=chunk.chunk_id, page=chunk.page, rule=rule, text=text[:MAX_EVIDENCE] or "?"
    )


def _edges(found: Iterable[Found]) -> Iterator[Edge]:
    """Relations seen in several chunks as one edge with all of them."""
    grouped: dict[tuple[str, str, str, str], list[Found]] = defaultdict(list)
    for each in found:
        grouped[each.type, each.src, each.dst, each.rule].append(each)
    for (kind, src, dst, rule), seen in grouped.items():
        first = seen[0]
        yield Edge(
            edge_id=short_id("edge", kind, src, dst, rule),
            type=kind,
            src=src,
            dst=dst,
            chunk_ids=tuple(dict.fromkeys(each.chunk.chunk_id for each in seen)),
            page=first.chunk.page,
            rule=rule,
            evidence=first.evidence[:MAX_EVIDENCE] or rule,
        )
