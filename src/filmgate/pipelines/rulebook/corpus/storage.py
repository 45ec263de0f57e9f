"""Ingest of books into the corpus: all books of a job in one transaction."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import itemgetter

from filmgate.core.database import ReadSession, Row, WriteSession
from filmgate.core.manifest import Manifest
from filmgate.pipelines.rulebook.contracts import Edition, Editions
from filmgate.pipelines.rulebook.corpus.books import (
    IndexedBook,
    IndexedBooks,
    WordCounts,
    weighted_frequency,
    weighted_length,
)
from filmgate.pipelines.rulebook.corpus.statements import queries

CHUNKS = "corpus.chunks"
NODES = "corpus.nodes"
EDGES = "corpus.edges"
STALE = "corpus.chunks removed"
ORPHANS = "corpus.nodes removed"
LATER = "corpus.books kept, which a later job brought"
"""Keys of the counts in a receipt."""

MAX_EDITIONS = 8
"""Number of stored editions of a book, with which the next edition is compared."""


def editions(
    session: ReadSession, env: str, asset_id: str, job_id: str, books: Sequence[str]
) -> Editions:
    """Return the last two editions of each book that other jobs wrote."""
    found: dict[str, list[Edition]] = {}
    parameters = {"env": env, "asset_id": asset_id, "job_id": job_id, "books": list(books)}
    for row in session.all(queries("books")["editions"], parameters):
        edition = Edition(edition=row["edition"], chunks=row["chunks"], nodes=row["nodes"])
        found.setdefault(row["book_id"], []).append(edition)
    return Editions(env=env, books={book_id: tuple(items) for book_id, items in found.items()})


def put(session: WriteSession, manifest: Manifest, corpus: IndexedBooks) -> dict[str, int]:
    """Replace books with new editions; return the numbers of written and removed rows.

    The caller opens the transaction. Chunks that both editions contain keep their rows. A removed
    chunk is removed with all references to it, and a node with its last reference. If a later job
    wrote an edition of a book, the book does not change and is counted under LATER.
    """
    counts = dict.fromkeys((CHUNKS, NODES, EDGES, STALE, ORPHANS, LATER), 0)
    for book in corpus.books:
        for name, count in _put_book(session, manifest, corpus, book).items():
            counts[name] += count
    return counts


def _put_book(
    session: WriteSession, manifest: Manifest, corpus: IndexedBooks, book: IndexedBook
) -> dict[str, int]:
    sql = queries("books")
    job = {"env": corpus.env, "asset_id": manifest.asset.id, "job_id": manifest.run_id}
    row = job | _book_columns(corpus, book) | {"made_at": manifest.created_at}
    key = session.one(sql["put_book"], row)
    if key is None:
        return {LATER: 1}
    edition = {
        "chunks": json.dumps(book.edition.chunks),
        "nodes": json.dumps(book.edition.nodes),
    }
    session.execute(sql["put_edition"], row | edition)
    session.execute(sql["drop_old_editions"], row | {"count": MAX_EDITIONS})
    for statement in sql["create_temporary_tables"].split(";"):
        session.execute(statement, {})
    session.copy(sql["copy_chunks"], _chunks(book))
    counts = {STALE: session.execute(sql["drop_stale_chunks"], key)}
    counts[CHUNKS] = session.execute(sql["put_chunks"], key)
    chunk_keys = {row["chunk_id"]: row["chunk_key"] for row in session.all(sql["chunk_keys"], key)}
    session.copy(sql["copy_nodes"], _nodes(book, chunk_keys))
    session.copy(sql["copy_edges"], _edges(book, chunk_keys))
    _put_words(
        session,
        key["book_key"],
        ((chunk_keys[indexed.chunk.chunk_id], indexed.words) for indexed in book.chunks),
    )
    counts[NODES] = session.execute(sql["put_nodes"], key)
    session.execute(sql["drop_node_references"], key)
    session.execute(sql["put_node_references"], key)
    counts[ORPHANS] = session.execute(sql["drop_orphans"], key)
    session.execute(sql["drop_edges"], key)
    counts[EDGES] = session.execute(sql["put_edges"], key)
    session.execute(sql["drop_edge_references"], key)
    session.execute(sql["put_edge_references"], key)
    return counts


def remove(session: WriteSession, env: str, book_id: str) -> bool:
    """Remove a book and its editions from the corpus; return False if it does not exist."""
    return bool(session.execute(queries("books")["remove_book"], {"env": env, "book_id": book_id}))


Count = Callable[[str, Sequence[str], str], Mapping[str, WordCounts]]
"""Counts the words of a passage; its arguments are kind, surrounding titles and text."""


def has_books(session: ReadSession) -> bool:
    """Whether the corpus contains a book."""
    return bool(session.all(queries("books")["book_keys"], {}))


def rebuild_posting_lists(session: WriteSession, count: Count, words_version: str) -> int:
    """Rebuild the posting lists of all books, book by book; return how many lists there are."""
    sql, total = queries("books"), 0
    for key in session.all(sql["book_keys"], {}):
        with session.transaction():
            if session.one(sql["lock_book"], key) is None:
                continue
            texts = session.all(sql["texts"], key)
            total += _put_words(
                session,
                key["book_key"],
                (
                    (row["chunk_key"], count(row["kind"], row["breadcrumb"], row["text"]))
                    for row in texts
                ),
            )
            session.execute(sql["set_words_version"], key | {"words_version": words_version})
    return total


def _put_words(
    session: WriteSession, book_key: int, chunks: Iterable[tuple[int, Mapping[str, WordCounts]]]
) -> int:
    """Write the posting lists of a book from the words of its chunks, and the book's length;
    return how many lists there are."""
    sql, key = queries("books"), {"book_key": book_key}
    lists: dict[str, tuple[list[int], list[float], list[float]]] = {}
    count, total = 0, 0.0
    for chunk_key, words in sorted(chunks, key=itemgetter(0)):
        length = weighted_length(words.values())
        count, total = count + 1, total + length
        for term, counts in words.items():
            chunk_keys, frequencies, lengths = lists.setdefault(term, ([], [], []))
            chunk_keys.append(chunk_key)
            frequencies.append(weighted_frequency(counts))
            lengths.append(length)
    session.execute(sql["drop_posting_lists"], key)
    session.copy(
        sql["copy_posting_lists"],
        ((book_key, term, *columns) for term, columns in sorted(lists.items())),
    )
    session.execute(sql["measure_book"], key | {"chunks": count, "length": total})
    return len(lists)


def _book_columns(corpus: IndexedBooks, book: IndexedBook) -> Row:
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


def _chunks(book: IndexedBook) -> Iterator[tuple[object, ...]]:
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
            json.dumps([span.model_dump(mode="json") for span in chunk.spans]),
            chunk.text,
            chunk.prev,
            chunk.next,
            chunk.view_of,
            embedding.model if embedding else None,
            list(embedding.values) if embedding else None,
        )


def _nodes(book: IndexedBook, chunk_keys: Mapping[str, int]) -> Iterator[tuple[object, ...]]:
    for node, spelling in book.nodes:
        keys = [chunk_keys[chunk_id] for chunk_id in node.chunk_ids if chunk_id in chunk_keys]
        yield (node.node_id, node.kind, node.name, spelling, keys)


def _edges(book: IndexedBook, chunk_keys: Mapping[str, int]) -> Iterator[tuple[object, ...]]:
    for edge in book.edges:
        yield (
            edge.edge_id,
            edge.type,
            edge.src,
            edge.dst,
            edge.page,
            edge.rule,
            edge.evidence,
            [chunk_keys[chunk_id] for chunk_id in edge.chunk_ids if chunk_id in chunk_keys],
        )
