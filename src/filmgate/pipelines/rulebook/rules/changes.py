"""Changes: compare a printing of a book with the previous one, and check the files of a run."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from filmgate.core.digest import sha256_hex
from filmgate.pipelines.rulebook.contracts import (
    BookChange,
    Chunk,
    ChunkKind,
    Cleanup,
    CorpusCheck,
    Coverage,
    Edition,
    Editions,
    Enriched,
    Fix,
    Graph,
    StaleChunk,
    Toc,
    group_by_book,
    make_edition,
)

NO_EDITION = Edition(edition="0" * 64, chunks={}, nodes={})


class Printing(NamedTuple):
    """The chunks and the graph of a book."""

    source_id: str
    book_id: str
    chunks: tuple[Chunk, ...]
    graph: Graph


def find_previous_edition(current: Edition, editions: Sequence[Edition]) -> Edition | None:
    """Return the latest edition that differs from the current one, or None.

    The comparison is therefore the same whether or not the current edition was already ingested.
    """
    return next((edition for edition in editions if edition.edition != current.edition), None)


def compare_printings(
    printings: Sequence[Printing],
    editions: Editions | None,
    checks: Sequence[CorpusCheck],
    fixes: Sequence[Fix] = (),
) -> Cleanup:
    """Return what an ingest of the printings changes in the corpus."""
    books: list[BookChange] = []
    stale: list[StaleChunk] = []
    orphans: list[str] = []
    for printing in printings:
        current = make_edition(printing.chunks, printing.graph.nodes, printing.graph.edges)
        stored = editions.books.get(printing.book_id, ()) if editions else ()
        previous = find_previous_edition(current, stored)
        change, stale_chunks, orphan_nodes = _compare(
            printing, current, previous or NO_EDITION, is_first=previous is None
        )
        books.append(change)
        stale += stale_chunks
        orphans += orphan_nodes
    return Cleanup(
        stale_deleted=len(stale),
        stale=tuple(stale),
        kept=sum(book.kept for book in books),
        added=sum(book.added for book in books),
        changed=sum(book.changed for book in books),
        orphans_removed=tuple(orphans),
        books=tuple(books),
        fixes=tuple(fixes),
        checks=tuple(checks),
    )


def _compare(
    printing: Printing, current: Edition, previous: Edition, *, is_first: bool
) -> tuple[BookChange, list[StaleChunk], list[str]]:
    """Return the change of a book, its stale chunks, and the ids of its orphan nodes."""
    new_ids, old_ids = set(current.chunks.values()), set(previous.chunks.values())
    anchors = {chunk_id: anchor for anchor, chunk_id in previous.chunks.items()}
    stale = [
        StaleChunk(
            chunk_id=chunk_id,
            book_id=printing.book_id,
            reason="changed"
            if current.chunks.get(anchors[chunk_id], chunk_id) not in old_ids
            else "gone",
        )
        for chunk_id in sorted(old_ids - new_ids)
    ]
    changed = sum(chunk.reason == "changed" for chunk in stale)
    orphans = sorted(previous.nodes.keys() - current.nodes.keys())
    change = BookChange(
        source_id=printing.source_id,
        book_id=printing.book_id,
        edition=current.edition,
        before=None if is_first else previous.edition,
        kept=len(new_ids & old_ids),
        added=len(new_ids - old_ids) - changed,
        changed=changed,
        stale_deleted=len(stale),
        orphans_removed=len(orphans),
    )
    return change, stale, orphans


def count_fixes(tocs: Iterable[Toc], enriched: Iterable[Enriched]) -> tuple[Fix, ...]:
    """Count the corrections of the source text.

    These are the chunks that each cleaning operation changed, and the titles that were replaced by
    their printed spelling.
    """
    operations = Counter(name for chunk in enriched for name in chunk.norm_ops)
    titles = sum(section.printed is not None for toc in tocs for section in toc.sections)
    counts = {**operations, "titles_as_printed": titles}
    return tuple(Fix(name=name, count=counts[name]) for name in sorted(counts))


def check_manual_edits(
    chunks: Sequence[Chunk], coverages: Sequence[Coverage]
) -> tuple[CorpusCheck, ...]:
    """Check whether the chunks are unchanged since pass C made them.

    Chunks that were edited by hand and adopted have changed; this is reported, but is not an error.
    """
    edited = [c.chunk_id for c in chunks if sha256_hex(c.text.encode("utf-8")) != c.content_sha]
    base = group_by_book(chunk for chunk in chunks if chunk.kind is not ChunkKind.ROW)
    differing = [
        coverage.book_id
        for coverage in coverages
        if coverage.in_chunks
        != sum(len("".join(c.text_raw.split())) for c in base.get(coverage.source_id, ()))
    ]
    return (
        _make_check("texts are those that were read", edited),
        _make_check("books are covered as pass C says", differing),
    )


def check_consistency(
    chunks: Sequence[Chunk], enriched: Sequence[Enriched], graph: Graph
) -> tuple[CorpusCheck, ...]:
    """Check the invariants of chunks, enrichment and graph.

    The names of the checks are part of `passF_cleanup.json`.
    """
    ids = Counter(chunk.chunk_id for chunk in chunks)
    nodes = {node.node_id for node in graph.nodes}
    flow = {chunk.chunk_id: chunk for chunk in chunks if chunk.kind is not ChunkKind.ROW}
    faults = {
        "chunk ids are unique": [name for name, count in ids.items() if count > 1],
        "every chunk is enriched once, in order": _find_differing(chunks, enriched),
        "entities lie within their text": [
            chunk.chunk_id
            for chunk in enriched
            for entity in chunk.entities
            if not entity.start < entity.end <= len(chunk.normalized)
        ],
        "chunks follow each other": [
            chunk.chunk_id
            for chunk in flow.values()
            if chunk.next is not None
            and (chunk.next not in flow or flow[chunk.next].prev != chunk.chunk_id)
        ],
        "rows stand in a table": [
            chunk.chunk_id
            for chunk in chunks
            if (chunk.kind is ChunkKind.ROW) != (chunk.view_of is not None and chunk.view_of in ids)
        ],
        "every node has a chunk": [
            node.node_id
            for node in graph.nodes
            if not node.chunk_ids or any(chunk_id not in ids for chunk_id in node.chunk_ids)
        ],
        "every edge has its chunks": [
            edge.edge_id
            for edge in graph.edges
            if any(chunk_id not in ids for chunk_id in edge.chunk_ids)
        ],
        "every edge has its nodes": [
            edge.edge_id for edge in graph.edges if edge.src not in nodes or edge.dst not in nodes
        ],
        "node ids are unique": [
            name for name, n in Counter(node.node_id for node in graph.nodes).items() if n > 1
        ],
    }
    return tuple(_make_check(name, found) for name, found in faults.items())


def _find_differing(chunks: Sequence[Chunk], enriched: Sequence[Enriched]) -> list[str]:
    expected, got = [e.chunk_id for e in chunks], [e.chunk_id for e in enriched]
    return [] if expected == got else sorted(set(expected) ^ set(got)) or ["another order"]


def _make_check(name: str, faults: Sequence[str]) -> CorpusCheck:
    found = f"{len(faults)} at fault: {', '.join(faults[:5])}" if faults else "no fault"
    return CorpusCheck(name=name, is_met=not faults, found=found)
