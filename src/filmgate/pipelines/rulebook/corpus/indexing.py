"""Read and verify the books of a finished job, and count their words."""

from collections import Counter
from collections.abc import Sequence

from filmgate.core.summaries import FinishedRun
from filmgate.pipelines.rulebook.contracts import (
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
from filmgate.pipelines.rulebook.corpus.books import (
    IndexedBook,
    IndexedBooks,
    IndexedChunk,
    WordCounts,
)
from filmgate.tools.words import normalise_name, version, words

MAX_CELL_WORDS = 4
"""Maximum number of words in the title of a row; longer cells are sentences and are cut."""

MAX_COUNT = 32_767
"""Maximum count of a word: the largest signed integer of two bytes."""

CORPUS_FILES = (TOC, CHUNKS, ENRICHED, GRAPH, CLEANUP)
"""Schemas of the files of which the corpus is made."""


def read_corpus(run: FinishedRun) -> IndexedBooks | None:
    """Read and index the books of a run; None if the run lacks a file of the corpus.

    Raises Invalid if a file does not match the manifest.
    """
    if not all(run.find(schema) for schema in CORPUS_FILES):
        return None
    tocs = run.read(TOC, Tocs).root
    chunks = run.read(CHUNKS, Chunks).root
    enriched = {chunk.chunk_id: chunk for chunk in run.read(ENRICHED, AllEnriched).root}
    graph = run.read(GRAPH, Graph)
    checked = {book.source_id for book in run.read(CLEANUP, Cleanup).books}
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
    return IndexedBooks(env=run.manifest.env, words_version=version(), books=tuple(books))


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
