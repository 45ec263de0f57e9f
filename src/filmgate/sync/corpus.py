"""Books out of a finished job: read against their digests, and their words counted."""

from collections import Counter

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
    Chunks,
    Cleanup,
    EnrichedAll,
    Graph,
    Tocs,
    edition_of,
)
from filmgate.sync.reading import read_document
from filmgate.tools.words import VERSION, spelling, words

CORPUS_FILES = (TOC, CHUNKS, ENRICHED, GRAPH, CLEANUP)


def corpus_refs(manifest: Manifest) -> dict[str, ArtifactRef]:
    """The files that a corpus is made of, by schema; none where the run is no job over books."""
    found = {schema: manifest.the_file_of(schema) for schema in CORPUS_FILES}
    return {schema: ref for schema, ref in found.items() if ref is not None}


def read_corpus(run: RunFiles, manifest: Manifest) -> IndexedBooks | None:
    """The books of a job, indexed; None where the run made none.

    Raises Invalid where a file is not what the manifest says.
    """
    refs = corpus_refs(manifest)
    if len(refs) < len(CORPUS_FILES):
        return None
    tocs = read_document(run, refs[TOC], Tocs).root
    chunks = read_document(run, refs[CHUNKS], Chunks).root
    enriched = {
        each.chunk_id: each for each in read_document(run, refs[ENRICHED], EnrichedAll).root
    }
    whole = read_document(run, refs[GRAPH], Graph)
    changes = {each.source_id: each for each in read_document(run, refs[CLEANUP], Cleanup).books}
    books = []
    for toc in tocs:
        own = [each for each in chunks if each.source_id == toc.source_id]
        nodes = [each for each in whole.nodes if each.source_id == toc.source_id]
        mine = {each.node_id for each in nodes}
        edges = [each for each in whole.edges if each.src in mine and each.dst in mine]
        books.append(
            IndexedBook(
                toc=toc,
                change=changes[toc.source_id],
                edition=edition_of(own, nodes, edges),
                chunks=tuple(
                    IndexedChunk(
                        chunk=each,
                        words=counted(each),
                        embedding=enriched[each.chunk_id].embedding
                        if each.chunk_id in enriched
                        else None,
                    )
                    for each in own
                ),
                nodes=tuple((each, spelling(each.name)) for each in nodes),
                edges=tuple(edges),
            )
        )
    return IndexedBooks(env=manifest.env, words_version=VERSION, books=tuple(books))


def counted(chunk: Chunk) -> dict[str, Standing]:
    """The words of a chunk, and how often each stands where."""
    title = Counter(words(chunk.breadcrumb[-1]) if chunk.breadcrumb else ())
    crumb = Counter(words(" ".join(chunk.breadcrumb[:-1])))
    text = Counter(words(chunk.text))
    return {
        word: Standing(title[word], crumb[word], text[word])
        for word in sorted({*title, *crumb, *text})
    }
