"""Books out of a finished job: read against their digests, and their words counted."""

from collections import Counter
from collections.abc import Sequence

from filmgate.core.corpus import IndexedBook, IndexedBooks, IndexedChunk, Standing
from filmgate.core.manifest import Manifest
from filmgate.core.ports import RunFiles
from filmgate.core.records import ArtifactRef
from filmgate.core.rulebook import (
    CHUNKS,
    CLEANUP,
    ENRICHED,
    GRAPH,
    TOC,
    Chunk,
    ChunkKind,
    Chunks,
    Cleanup,
    Edge,
    Enriched,
    EnrichedAll,
    Graph,
    Node,
    Toc,
    Tocs,
    by_book,
    edges_by_book,
    edition_of,
)
from filmgate.sync.reading import read_document
from filmgate.tools.words import spelling, version, words

MAX_CELL_WORDS = 4
"""Of the first cell of a row: longer ones are sentences."""

MOST = 32_767
"""How often a word is counted in one place: what two bytes hold."""

CORPUS_FILES = (TOC, CHUNKS, ENRICHED, GRAPH, CLEANUP)


def corpus_refs(manifest: Manifest) -> dict[str, ArtifactRef]:
    """The files that a corpus is made of, by schema; none unless all of them are there."""
    found = {schema: manifest.the_file_of(schema) for schema in CORPUS_FILES}
    there = {schema: ref for schema, ref in found.items() if ref is not None}
    return there if len(there) == len(CORPUS_FILES) else {}


def read_corpus(run: RunFiles, manifest: Manifest) -> IndexedBooks | None:
    """The books of a job, indexed; None where the run made none.

    Raises Invalid where a file is not what the manifest says.
    """
    refs = corpus_refs(manifest)
    if not refs:
        return None
    tocs = read_document(run, refs[TOC], Tocs).root
    chunks = read_document(run, refs[CHUNKS], Chunks).root
    enriched = {
        each.chunk_id: each for each in read_document(run, refs[ENRICHED], EnrichedAll).root
    }
    whole = read_document(run, refs[GRAPH], Graph)
    told = {each.source_id for each in read_document(run, refs[CLEANUP], Cleanup).books}
    chunks_of, nodes_of, edges_of = by_book(chunks), by_book(whole.nodes), edges_by_book(whole)
    books = [
        _indexed(
            toc,
            [(each, enriched.get(each.chunk_id)) for each in chunks_of[toc.source_id]],
            nodes_of.get(toc.source_id, []),
            edges_of.get(toc.source_id, []),
        )
        for toc in tocs
        if toc.source_id in told and toc.source_id in chunks_of
    ]
    return IndexedBooks(env=manifest.env, words_version=version(), books=tuple(books))


def _first_cell(text: str) -> str:
    row = text.rpartition("\n")[2].split()
    numbered = (n for n, word in enumerate(row) if any(c.isdigit() for c in word))
    return " ".join(row[: min(next(numbered, 1), MAX_CELL_WORDS)])


def _indexed(
    toc: Toc,
    chunks: list[tuple[Chunk, Enriched | None]],
    nodes: list[Node],
    edges: list[Edge],
) -> IndexedBook:
    return IndexedBook(
        toc=toc,
        edition=edition_of([chunk for chunk, _ in chunks], nodes, edges),
        chunks=tuple(
            IndexedChunk(
                chunk=chunk,
                words=counted(chunk.kind.value, chunk.breadcrumb, chunk.text),
                embedding=known.embedding if known else None,
            )
            for chunk, known in chunks
        ),
        nodes=tuple((each, spelling(each.name)) for each in nodes),
        edges=tuple(edges),
    )


def counted(kind: str, breadcrumb: Sequence[str], text: str) -> dict[str, Standing]:
    """The words of a chunk, and how often each stands where. A row has a title of its own: what
    stands in it before its first number."""
    above = tuple(breadcrumb)
    if kind != ChunkKind.ROW.value:
        name, above = (above[-1] if above else ""), above[:-1]
    else:
        name = _first_cell(text)
    title, crumb = Counter(words(name)), Counter(words(" ".join(above)))
    body = Counter(words(text))
    return {
        word: Standing(*(min(found[word], MOST) for found in (title, crumb, body)))
        for word in sorted({*title, *crumb, *body})
    }
