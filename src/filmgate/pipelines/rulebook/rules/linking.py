"""Build the graph of a book: nodes for its sections, and edges for the relations of their terms."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

from filmgate.pipelines.rulebook.contracts import (
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
from filmgate.pipelines.rulebook.rules.sections import make_short_id
from filmgate.pipelines.rulebook.rules.terms import index_by_name, to_singular
from filmgate.pipelines.rulebook.rules.text import fold_text, make_slug, match_key

SECTION_KIND = "section"
MAX_EVIDENCE = 160
"""Number of characters to which evidence is shortened."""

_SEE = re.compile(
    r"\b[Ss]ee\s+(?:the\s+|also\s+)?(?P<what>[“\"][^”\"]{3,60}[”\"]|[A-Z][\w'’-]+(?: (?:of|the|and|"
    r"or|to|in|with|[A-Z][\w'’-]+)){0,5})(?:\s+(?:section|chapter|appendix|table|sidebar|spell))?"
)


class Relation(NamedTuple):
    """A relation between two nodes, found in one chunk."""

    type: str
    src: str
    dst: str
    rule: str
    chunk: Chunk
    evidence: str


def build_graph(toc: Toc, chunks: Sequence[Chunk], enriched: Sequence[Enriched]) -> Graph:
    """Return all nodes and edges of a book, sorted. Each edge has its rule, chunks and page."""
    index = _BookIndex(toc, chunks)
    relations = [*_section_relations(index), *_mention_relations(index, enriched)]
    unresolved: list[Unresolved] = []
    for chunk in chunks:
        if chunk.kind is ChunkKind.LIST:
            relations += _list_relations(index, chunk, unresolved)
        if chunk.kind is ChunkKind.ROW:
            relations += _row_relations(index, chunk)
        else:
            relations += _reference_relations(index, chunk, unresolved)
    edges = sorted(
        _merge_relations(relations), key=lambda edge: (edge.type, edge.src, edge.dst, edge.rule)
    )
    return Graph(
        nodes=tuple(sorted(index.nodes.values(), key=lambda node: node.node_id)),
        edges=tuple(edges),
        unresolved=tuple(unresolved),
    )


class _BookIndex:
    """The sections of a book as nodes, and its terms by name."""

    def __init__(self, toc: Toc, chunks: Sequence[Chunk]) -> None:
        self.sections = {section.section_id: section for section in (*toc.sections, *toc.unlisted)}
        self.terms = index_by_name(toc.dictionary)
        self.kinds = {term.kind for term in toc.dictionary} - {SECTION_KIND}
        self.chunks = {chunk.chunk_id: chunk for chunk in chunks}
        self._term_of = {term.section_id: term for term in toc.dictionary}
        own_chunks: dict[str, list[Chunk]] = defaultdict(list)
        for chunk in chunks:
            if chunk.metadata.section_id is not None and chunk.kind is not ChunkKind.ROW:
                own_chunks[chunk.metadata.section_id].append(chunk)
        self.chunks_of = self._add_inherited(own_chunks)
        self.node_ids = dict(self._assign_node_ids(toc.book_id))
        self.nodes_by_title: dict[str, list[tuple[int, str]]] = defaultdict(list)
        for section_id, node_id in self.node_ids.items():
            section = self.sections[section_id]
            self.nodes_by_title[match_key(section.name)].append((section.level, node_id))
        self.nodes = {
            node_id: self._make_node(toc, section_id, node_id)
            for section_id, node_id in self.node_ids.items()
        }

    def _add_inherited(self, own_chunks: Mapping[str, list[Chunk]]) -> dict[str, list[Chunk]]:
        """Give each section without chunks the first chunk of a section below it."""
        chunks_of = dict(own_chunks)
        for section in reversed(self.sections.values()):
            chunks, parent = chunks_of.get(section.section_id), section.parent_id
            if chunks and parent is not None and not own_chunks.get(parent):
                chunks_of[parent] = chunks[:1]
        return chunks_of

    def _assign_node_ids(self, book_id: str) -> Iterator[tuple[str, str]]:
        """Yield (section id, node id) of each section with chunks.

        A node id consists of the kind and the name. If another section has the same id already, the
        name of the parent is added, then a number.
        """
        seen: Counter[str] = Counter()
        for section in self.sections.values():
            if not self.chunks_of.get(section.section_id):
                continue
            name = f"{make_slug(self.kind_of(section))}:{make_slug(section.name) or 'untitled'}"
            parent = self.sections.get(section.parent_id or "")
            if seen[f"{name}:{book_id}"] and parent is not None:
                name = f"{name}~{make_slug(parent.name)}"
            seen[f"{name}:{book_id}"] += 1
            count = seen[f"{name}:{book_id}"]
            yield section.section_id, f"{name}{f'~{count}' if count > 1 else ''}:{book_id}"

    def _make_node(self, toc: Toc, section_id: str, node_id: str) -> Node:
        section = self.sections[section_id]
        return Node(
            node_id=node_id,
            kind=self.kind_of(section),
            name=section.name,
            source_id=toc.source_id,
            chunk_ids=tuple(chunk.chunk_id for chunk in self.chunks_of[section_id]),
        )

    def kind_of(self, section: Section) -> str:
        """Return the kind of the term that a section defines, or `section`."""
        term = self._term_of.get(section.section_id)
        return term.kind if term is not None else SECTION_KIND

    def node_of(self, term: Term) -> str | None:
        """Return the node id of a term."""
        return self.node_ids.get(term.section_id)

    def section_node(self, chunk: Chunk) -> str | None:
        """Return the node id of the section that contains a chunk."""
        return self.node_ids.get(chunk.metadata.section_id or "")

    def sections_above(self, chunk: Chunk) -> Iterator[Section]:
        """Yield the sections that contain a chunk, the innermost first."""
        section = self.sections.get(chunk.metadata.section_id or "")
        while section is not None:
            yield section
            section = self.sections.get(section.parent_id or "")

    def terms_named(self, name: str) -> list[Term]:
        """Return the terms that have this name and a node."""
        return [t for t in self.terms.get(match_key(name), ()) if self.node_of(t) is not None]

    def resolve(self, name: str, kind: str | None = None) -> Term | None:
        """Return the only term with a name (and kind); None if there is none, or several."""
        terms = [term for term in self.terms_named(name) if kind is None or term.kind == kind]
        return terms[0] if len(terms) == 1 else None

    @cached_property
    def owner_kind(self) -> str | None:
        """The most frequent kind of the terms that have lists of other terms, or None.

        For example, the title `Bard Spells` counts for the kind of the term `bard`.
        """
        kinds: Counter[str] = Counter()
        for section in self.sections.values():
            first, _, last = fold_text(section.name).rpartition(" ")
            kind = to_singular(last)
            if first and kind != last and kind in self.kinds:
                kinds.update({term.kind for term in self.terms_named(first)})
        return max(kinds, key=lambda kind: (kinds[kind], kind), default=None)


def _section_relations(index: _BookIndex) -> Iterator[Relation]:
    for section in index.sections.values():
        src, dst = (
            index.node_ids.get(section.parent_id or ""),
            index.node_ids.get(section.section_id),
        )
        if src is not None and dst is not None:
            chunk = index.chunks_of[section.section_id][0]
            yield Relation("contains", src, dst, "section tree", chunk, section.evidence)


def _mention_relations(index: _BookIndex, enriched: Iterable[Enriched]) -> Iterator[Relation]:
    terms = {term.term_id: term for named in index.terms.values() for term in named}
    for enrichment in enriched:
        chunk = index.chunks.get(enrichment.chunk_id)
        src = index.section_node(chunk) if chunk is not None else None
        if chunk is None or src is None or chunk.kind is ChunkKind.ROW:
            continue
        for entity in enrichment.entities:
            term = terms.get(entity.term_id)
            dst = index.node_of(term) if term is not None else None
            if dst is not None and dst != src:
                evidence = enrichment.normalized[max(0, entity.start - 40) : entity.end + 40]
                yield Relation("mentions", src, dst, "dictionary term", chunk, evidence)


def _list_relations(
    index: _BookIndex, chunk: Chunk, unresolved: list[Unresolved]
) -> Iterator[Relation]:
    """Yield a relation for each line of a list that is the name of a term.

    A list titled `Bard Spells` belongs to the bard, and contains only spells.
    """
    owner, kind = _find_owner(index, chunk)
    src = index.node_of(owner) if owner is not None else index.section_node(chunk)
    if src is None:
        return
    titles = {match_key(title) for title in chunk.breadcrumb}
    lines = [line for line in chunk.text.split("\n") if match_key(line) not in titles]
    number = 0
    while number < len(lines):
        term, count = _match_entry(index, lines[number : number + 2], kind)
        dst = index.node_of(term) if term is not None else None
        if dst is not None and dst != src:
            evidence = " ".join(lines[number : number + count])
            yield Relation("lists", src, dst, "list entry", chunk, evidence)
        elif owner is not None and term is None:
            unresolved.append(_make_unresolved(chunk, "list entry", lines[number]))
        number += count


def _match_entry(
    index: _BookIndex, lines: Sequence[str], kind: str | None
) -> tuple[Term | None, int]:
    """Return the term of a list entry and the number of its lines; a name may take two lines."""
    term = index.resolve(lines[0], kind)
    if term is not None or len(lines) == 1:
        return term, 1
    for joined in ("".join(lines), " ".join(lines)):
        if kind is not None and (term := index.resolve(joined, kind)) is not None:
            return term, 2
    return None, 1


def _find_owner(index: _BookIndex, chunk: Chunk) -> tuple[Term | None, str | None]:
    """Return (owner, kind of the entries) of a list, from a title above it such as `Bard
    Spells`."""
    for section in index.sections_above(chunk):
        first, _, last = fold_text(section.name).rpartition(" ")
        kind = to_singular(last)
        if first and kind != last and kind in index.kinds:
            owners = index.terms_named(first)
            typical = [term for term in owners if term.kind == index.owner_kind]
            if len(owners) == 1 or len(typical) == 1:
                return (typical or owners)[0], kind
    return None, None


def _row_relations(index: _BookIndex, chunk: Chunk) -> Iterator[Relation]:
    """Yield a relation for a row that begins with the name of a term."""
    src, row = index.section_node(chunk), fold_text(chunk.text.rpartition("\n")[2])
    words = row.split()
    for count in range(min(len(words), 6), 0, -1):
        term = index.resolve(" ".join(words[:count]))
        dst = index.node_of(term) if term is not None else None
        if dst is not None and src is not None and dst != src:
            yield Relation("tabulates", src, dst, "table row", chunk, row)
            return


def _reference_relations(
    index: _BookIndex, chunk: Chunk, unresolved: list[Unresolved]
) -> Iterator[Relation]:
    """Yield a relation for each `See …` that refers to a term or a section."""
    src = index.section_node(chunk)
    for match in _SEE.finditer(chunk.text):
        name = match["what"].strip('“”" ')
        term = index.resolve(name)
        dst = index.node_of(term) if term is not None else _find_section(index, name)
        if src is not None and dst is not None and dst != src:
            yield Relation("refers to", src, dst, "see reference", chunk, match[0])
        elif dst is None:
            unresolved.append(_make_unresolved(chunk, "see reference", match[0]))


def _find_section(index: _BookIndex, title: str) -> str | None:
    """Return the node id of the section with a title, or None.

    Of several such sections, the one of the highest level is used; None if several have that level.
    """
    nodes = index.nodes_by_title.get(match_key(title), [])
    highest = min((level for level, _ in nodes), default=0)
    top = [node for level, node in nodes if level == highest]
    return top[0] if len(top) == 1 else None


def _make_unresolved(chunk: Chunk, rule: str, text: str) -> Unresolved:
    return Unresolved(
        chunk_id=chunk.chunk_id, page=chunk.page, rule=rule, text=text[:MAX_EVIDENCE] or "?"
    )


def _merge_relations(relations: Iterable[Relation]) -> Iterator[Edge]:
    """Merge equal relations from several chunks into one edge with all these chunks."""
    grouped: dict[tuple[str, str, str, str], list[Relation]] = defaultdict(list)
    for relation in relations:
        key = (relation.type, relation.src, relation.dst, relation.rule)
        grouped[key].append(relation)
    for (kind, src, dst, rule), group in grouped.items():
        first = group[0]
        yield Edge(
            edge_id=make_short_id("edge", kind, src, dst, rule),
            type=kind,
            src=src,
            dst=dst,
            chunk_ids=tuple(dict.fromkeys(relation.chunk.chunk_id for relation in group)),
            page=first.chunk.page,
            rule=rule,
            evidence=first.evidence[:MAX_EVIDENCE] or rule,
        )
