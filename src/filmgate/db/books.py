"""How books come into the corpus: all of a job's in the transaction that takes the job in."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, LiteralString

from psycopg.types.json import Jsonb

from filmgate.core.corpus import IndexedBook, IndexedBooks, IndexedChunk
from filmgate.core.manifest import Manifest
from filmgate.core.rulebook import Edition, Editions
from filmgate.db.queries import queries
from filmgate.db.sessions import Session, storable_text

CHUNKS = "corpus.chunks"
NODES = "corpus.nodes"
EDGES = "corpus.edges"
STALE = "corpus.chunks removed"
ORPHANS = "corpus.nodes removed"


def editions(session: Session, env: str, job_id: str) -> Editions:
    """What is kept of earlier printings of each book, as it was before this job came in."""
    kept: dict[str, list[Edition]] = {}
    for row in session.all(queries("books")["editions"], {"env": env, "job_id": job_id}):
        edition = Edition(edition=row["edition"], chunks=row["chunks"], nodes=row["nodes"])
        kept.setdefault(row["book_id"], []).append(edition)
    return Editions(env=env, books={book_id: tuple(each) for book_id, each in kept.items()})


def put(session: Session, manifest: Manifest, corpus: IndexedBooks) -> dict[str, int]:
    """Put books in the place of their last printings; how many rows came and went.

    Works inside a transaction of the caller's. Chunks that stayed keep their rows; those that are
    gone take their words and references along, and nodes go with their last reference.
    """
    counts = dict.fromkeys((CHUNKS, NODES, EDGES, STALE, ORPHANS), 0)
    for book in corpus.books:
        for name, count in _put_book(session, manifest, corpus, book).items():
            counts[name] += count
    return counts


def _put_book(
    session: Session, manifest: Manifest, corpus: IndexedBooks, book: IndexedBook
) -> dict[str, int]:
    sql = queries("books")
    own = {"env": corpus.env, "asset_id": manifest.asset.id, "job_id": manifest.run_id}
    row = own | _of_book(corpus, book)
    key = session.need(sql["put_book"], row)
    kept = {"chunks": Jsonb(book.edition.chunks), "nodes": Jsonb(book.edition.nodes)}
    session.do(sql["keep_edition"], row | kept)
    for statement in sql["make_room"].split(";"):
        session.connection.execute(statement)
    _copy(session, sql["copy_chunks"], _chunks(book))
    _copy(session, sql["copy_postings"], _postings(book))
    _copy(session, sql["copy_nodes"], _nodes(book))
    _copy(session, sql["copy_edges"], _edges(book))
    counts = {STALE: session.do(sql["drop_stale_chunks"], key)}
    counts[CHUNKS] = session.do(sql["put_chunks"], key)
    session.do(sql["drop_postings"], key)
    session.do(sql["put_postings"], key)
    counts[NODES] = session.do(sql["put_nodes"], key)
    session.do(sql["drop_node_references"], key)
    session.do(sql["put_node_references"], key)
    counts[ORPHANS] = session.do(sql["drop_orphans"], key)
    session.do(sql["drop_edges"], key)
    counts[EDGES] = session.do(sql["put_edges"], key)
    session.do(sql["drop_edge_references"], key)
    session.do(sql["put_edge_references"], key)
    return counts


def _of_book(corpus: IndexedBooks, book: IndexedBook) -> dict[str, Any]:
    toc = book.toc
    return {
        "book_id": toc.book_id,
        "source_id": toc.source_id,
        "edition": book.edition.edition,
        "title": toc.title,
        "file": toc.file,
        "pages": toc.pages,
        "licence": toc.licence,
        "attribution": toc.attribution,
        "words_version": corpus.words_version,
    }


def _copy(session: Session, statement: LiteralString, rows: Iterable[tuple[Any, ...]]) -> None:
    with session.connection.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row([_storable(value) for value in row])


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        return storable_text(value)
    return [_storable(each) for each in value] if isinstance(value, list) else value


def _chunks(book: IndexedBook) -> Iterator[tuple[Any, ...]]:
    for ordinal, indexed in enumerate(book.chunks):
        chunk, embedding = indexed.chunk, indexed.embedding
        yield (
            chunk.chunk_id,
            ordinal,
            chunk.kind.value,
            chunk.page,
            chunk.page_end,
            chunk.page_label,
            list(chunk.breadcrumb),
            json.dumps([each.model_dump(mode="json") for each in chunk.spans]),
            chunk.text,
            chunk.prev,
            chunk.next,
            chunk.view_of,
            indexed.weight,
            embedding.model if embedding else None,
            list(embedding.values) if embedding else None,
        )


def _postings(book: IndexedBook) -> Iterator[tuple[Any, ...]]:
    for indexed in book.chunks:
        yield from _words(indexed)


def _words(indexed: IndexedChunk) -> Iterator[tuple[Any, ...]]:
    words: Mapping[str, tuple[int, int, int]] = indexed.words
    for word, standing in words.items():
        yield (indexed.chunk.chunk_id, word, *(min(n, 32767) for n in standing))


def _nodes(book: IndexedBook) -> Iterator[tuple[Any, ...]]:
    for node, spelling in book.nodes:
        yield (node.node_id, node.kind, node.name, spelling, list(node.chunk_ids))


def _edges(book: IndexedBook) -> Iterator[tuple[Any, ...]]:
    for edge in book.edges:
        yield (
            edge.edge_id,
            edge.type,
            edge.src,
            edge.dst,
            edge.page,
            edge.rule,
            edge.evidence,
            list(edge.chunk_ids),
        )
