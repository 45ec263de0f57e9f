"""Read and verify the books of a finished job, and count their words."""

from collections import Counter
from collections.abc import Sequence

from filmgate.core.corpus import IndexedBook, IndexedBooks, IndexedChunk, WordCounts
from filmgate.core.manifest import Manifest
from filmgate.core.ports import RunFiles
from filmgate.core.records import ArtifactRef
from filmgate.core.rulebook import (
    CHUNKS,
    CLEANUP,
    ENRICHED,
    GRAPH,
    TOC,
    AllEnriched,
    Chunk,
    ChunkKind,
    Chunks,
    Cleanup,
    Edge,
    Enriched,
    Graph,
    Node,
    Toc,
    Tocs,
    group_by_book,
    group_edges_by_book,
    make_edition,
)
from filmgate.sync.verified_files import read_document
from filmgate.tools.words import normalise_name, version, words

MAX_CELL_WORDS = 4
"""Maximum number of words in the title of a row; longer cells are sentences and are cut."""

MAX_COUNT = 32_767
"""Maximum count of a word: the largest signed integer of two bytes."""

CORPUS_FILES = (TOC, CHUNKS, ENRICHED, GRAPH, CLEANUP)


def corpus_refs(manifest: Manifest) -> dict[str, ArtifactRef]:
    """Return the files of the corpus, by schema; empty unless all of them exist."""
    found = {schema: manifest.first_file_with_schema(schema) for schema in CORPUS_FILES}
    refs = {schema: ref for schema, ref in found.items() if ref is not None}
    return refs if len(refs) == len(CORPUS_FILES) else {}


def read_corpus(run: RunFiles, manifest: Manifest) -> IndexedBooks | None:
    """Read and index the books of a job; None if the run has no corpus files.

    Raises Invalid if a file does not match the manifest.
    """
    refs = corpus_refs(manifest)
    if not refs:
        return None
    tocs = read_document(run, refs[TOC], Tocs).root
    chunks = read_document(run, refs[CHUNKS], Chunks).root
    enriched = {
        chunk.chunk_id: chunk for chunk in read_document(run, refs[ENRICHED], AllEnriched).root
    }
    graph = read_document(run, refs[GRAPH], Graph)
    checked = {book.source_id for book in read_document(run, refs[CLEANUP], Cleanup).books}
    chunks_of, nodes_of = group_by_book(chunks), group_by_book(graph.nodes)
    edges_of = group_edges_by_book(graph)
    books = [
        _index_book(
            toc,
            [(chunk, enriched.get(chunk.chunk_id)) for chunk in chunks_of[toc.source_id]],
            nodes_of.get(toc.source_id, []),
            edges_of.get(toc.source_id, []),
        )
        for toc in tocs
        if toc.source_id in checked and toc.source_id in chunks_of
    ]
    return IndexedBooks(env=manifest.env, words_version=version(), books=tuple(books))


def _first_cell(text: str) -> str:
    row = text.rpartition("\n")[2].split()
    numbered = (n for n, word in enumerate(row) if any(c.isdigit() for c in word))
    return " ".join(row[: min(next(numbered, 1), MAX_CELL_WORDS)])


def _index_book(
    toc: Toc,
    chunks: list[tuple[Chunk, Enriched | None]],
    nodes: list[Node],
    edges: list[Edge],
) -> IndexedBook:
    return IndexedBook(
        toc=toc,
        edition=make_edition([chunk for chunk, _ in chunks], nodes, edges),
        chunks=tuple(
            IndexedChunk(
                chunk=chunk,
                words=count_words(chunk.kind.value, chunk.breadcrumb, chunk.text),
                embedding=enrichment.embedding if enrichment else None,
            )
            for chunk, enrichment in chunks
        ),
        nodes=tuple((node, normalise_name(node.name)) for node in nodes),
        edges=tuple(edges),
    )


def count_words(kind: str, breadcrumb: Sequence[str], text: str) -> dict[str, WordCounts]:
    """Count each word of a chunk in its title, in the titles above it and in its text.

    The title of a row consists of the words before its first number, at most `MAX_CELL_WORDS`. If
    the row has no number, the title is its first word.
    """
    above = tuple(breadcrumb)
    if kind != ChunkKind.ROW.value:
        name, above = (above[-1] if above else ""), above[:-1]
    else:
        name = _first_cell(text)
    title, crumb = Counter(words(name)), Counter(words(" ".join(above)))
    body = Counter(words(text))
    return {
        word: WordCounts(*(min(counts[word], MAX_COUNT) for counts in (title, crumb, body)))
        for word in sorted({*title, *crumb, *body})
    }
