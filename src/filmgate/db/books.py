"""How books come into the corpus: all of a job's in the transaction that takes the job in."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, LiteralString

from psycopg.types.json import Jsonb

from filmgate.core.corpus import (
    IndexedBook,
    IndexedBooks,
    IndexedChunk,
    Standing,
    weight_of,
)
from filmgate.core.manifest import Manifest
from filmgate.core.rulebook import Edition, Editions
from filmgate.db.queries import queries
from filmgate.db.sessions import Session, storable_value

CHUNKS = "corpus.chunks"
NODES = "corpus.nodes"
EDGES = "corpus.edges"
STALE = "corpus.chunks removed"
ORPHANS = "corpus.nodes removed"
LATER = "corpus.books kept, which a later job brought"
"""What is counted of what was taken in."""

EDITIONS = 8
"""Printings of a book that are kept to tell the next one from."""


def editions(
    session: Session, env: str, asset_id: str, job_id: str, books: Sequence[str]
) -> Editions:
    """What is kept of earlier printings of some books, as it was before this job came in."""
    kept: dict[str, list[Edition]] = {}
    told = {"env": env, "asset_id": asset_id, "job_id": job_id, "books": list(books)}
    for row in session.all(queries("books")["editions"], told):
        edition = Edition(edition=row["edition"], chunks=row["chunks"], nodes=row["nodes"])
        kept.setdefault(row["book_id"], []).append(edition)
    return Editions(env=env, books={book_id: tuple(each) for book_id, each in kept.items()})


def put(session: Session, manifest: Manifest, corpus: IndexedBooks) -> dict[str, int]:
    """Put books in the place of their last printings; how many rows came and went.

    Works inside a transaction of the caller's. Chunks that stayed keep their rows; those that are
    gone take their words and references along, and nodes go with their last reference. A book of
    which a later job brought a printing stays as it is, and is counted.
    """
    counts = dict.fromkeys((CHUNKS, NODES, EDGES, STALE, ORPHANS, LATER), 0)
    for book in corpus.books:
        for name, count in _put_book(session, manifest, corpus, book).items():
            counts[name] += count
    return counts


def _put_book(
    session: Session, manifest: Manifest, corpus: IndexedBooks, book: IndexedBook
) -> dict[str, int]:
    sql = queries("books")
    own = {"env": corpus.env, "asset_id": manifest.asset.id, "job_id": manifest.run_id}
    row = own | _of_book(corpus, book) | {"made_at": manifest.created_at}
    key = session.one(sql["put_book"], row)
    if key is None:
        return {LATER: 1}
    kept = {"chunks": Jsonb(book.edition.chunks), "nodes": Jsonb(book.edition.nodes)}
    session.do(sql["keep_edition"], row | kept)
    session.do(sql["forget_editions"], row | {"kept": EDITIONS})
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


def remove(session: Session, env: str, book_id: str) -> bool:
    """Take a book out of the corpus, with all that is known of it; False where it is not there."""
    return bool(session.do(queries("books")["remove_book"], {"env": env, "book_id": book_id}))


Count = Callable[[str, Sequence[str], str], Mapping[str, Standing]]
"""Counts the words of a passage, by its kind, the titles around it and its text."""


def has_books(session: Session) -> bool:
    """Whether there is any book in the corpus."""
    return bool(session.all(queries("books")["book_keys"], {}))


def count_again(session: Session, count: Count, words_version: str) -> int:
    """Make all postings anew, book by book; how many there are."""
    sql, total = queries("books"), 0
    for key in session.all(sql["book_keys"], {}):
        with session.connection.transaction():
            session.do(sql["drop_postings"], key)
            rows = []
            for each in session.all(sql["texts"], key):
                standing = count(each["kind"], each["breadcrumb"], each["text"])
                weight = weight_of(standing.values())
                session.do(sql["weigh"], {"chunk_key": each["chunk_key"], "weight": weight})
                rows += [(word, each["chunk_key"], *at) for word, at in standing.items()]
            _copy(session, sql["add_postings"], rows)
            session.do(sql["counted_by"], key | {"words_version": words_version})
            total += len(rows)
    return total


def _of_book(corpus: IndexedBooks, book: IndexedBook) -> dict[str, Any]:
    toc = book.toc
    return {
        "book_id": toc.book_id,
        "source_id": toc.source_id,
        "edition": book.edition.edition,
        "title": toc.title,
        "file": toc.file,
        "format": toc.format.value,
        "pages": toc.pages,
        "licence": toc.licence,
        "attribution": toc.attribution,
        "words_version": corpus.words_version,
    }


def _copy(session: Session, statement: LiteralString, rows: Iterable[tuple[Any, ...]]) -> None:
    with session.connection.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row([storable_value(value) for value in row])


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
        yield (indexed.chunk.chunk_id, word, *standing)


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
