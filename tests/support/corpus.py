"""Books that are ingested without reading a file: titles with their passages."""

from collections.abc import Mapping
from functools import partial

import psycopg

from filmgate.core.books import BookFormat, PageSpan
from filmgate.core.digest import sha256_hex
from filmgate.core.payloads.built_in import BUILT_IN
from filmgate.core.plan import Producer
from filmgate.core.summaries import SummaryRows
from filmgate.db.result_store import PostgresResults
from filmgate.pipelines.rulebook.contracts import (
    Chunk,
    ChunkKind,
    ChunkMetadata,
    Edge,
    Method,
    Node,
    Toc,
    make_edition,
)
from filmgate.pipelines.rulebook.corpus.books import IndexedBook, IndexedBooks, IndexedChunk
from filmgate.pipelines.rulebook.corpus.indexing import count_words
from filmgate.pipelines.rulebook.corpus.search import CorpusQuestion, CorpusSearch
from filmgate.pipelines.rulebook.corpus.storage import put
from filmgate.tools.words import is_list_question, name_candidates, normalise_name, version, words
from support.archive import LOCAL_ORIGIN, manifest_of

ENV = "test"

SPELLS = {
    "Kindle": "You light a lantern. The spell deals 2d6 damage.",
    "Cold Flame": "A flame without heat. It burns on the water.",
    "Calm Water": "The water lies still for an hour.",
}
"""A small book: passages by title."""


def ingest_book(
    connection: psycopg.Connection,
    book_id: str = "rules.md",
    passages: Mapping[str, str] = SPELLS,
    *,
    revision: int = 1,
) -> None:
    """Ingest a job of one book, in which the class Keeper gets every passage."""
    manifest = manifest_of({}, asset=book_id, run="job", revision=revision)
    book = _book(book_id, {"Keeper": "A class.", **passages})
    corpus = IndexedBooks(env=ENV, words_version=version(), books=(book,))
    write = partial(put, manifest=manifest, corpus=corpus)
    PostgresResults(connection, BUILT_IN).ingest(
        manifest,
        sha256_hex(manifest.to_bytes()),
        LOCAL_ORIGIN,
        (),
        [SummaryRows(files=(), write=write, is_for_products=False)],
    )


def answering_titles(search: CorpusSearch, text: str, book: str | None = None) -> list[str]:
    """Return the titles of the passages that answer a question, the best first."""
    question = CorpusQuestion(
        question=text,
        words=tuple(dict.fromkeys(words(text))),
        names=name_candidates(text),
        is_for_several=is_list_question(text),
        vector=None,
    )
    answer = search.ask(question, env=ENV, book=book, limit=5, stem=words, version=version())
    return [citation.section[-1] for citation in answer.answers]


def _book(book_id: str, passages: Mapping[str, str]) -> IndexedBook:
    source_id = sha256_hex(book_id.encode())
    chunks = [_chunk(book_id, source_id, title, text) for title, text in passages.items()]
    nodes = [
        Node(
            node_id=f"{title}:{book_id}",
            kind="spell" if title != "Keeper" else "class",
            name=title,
            source_id=source_id,
            chunk_ids=(chunk.chunk_id,),
        )
        for title, chunk in zip(passages, chunks, strict=True)
    ]
    edges = [
        Edge(
            edge_id=f"Keeper gets {node.node_id}",
            type="lists",
            src=nodes[0].node_id,
            dst=node.node_id,
            chunk_ids=node.chunk_ids,
            page=1,
            rule="list entry",
            evidence=node.name,
        )
        for node in nodes[1:]
    ]
    return IndexedBook(
        toc=Toc(
            source_id=source_id,
            book_id=book_id,
            file=book_id,
            format=BookFormat.MARKDOWN,
            title=f"Title of {book_id}",
            pages=1,
            reader=Producer(name="tests", version="1"),
            contents=Method.MARKUP,
            licence=None,
            attribution=None,
            sections=(),
            unlisted=(),
            dictionary=(),
            remarks=(),
        ),
        edition=make_edition(chunks, nodes, edges),
        chunks=tuple(
            IndexedChunk(
                chunk=chunk,
                words=count_words(chunk.kind.value, chunk.breadcrumb, chunk.text),
                embedding=None,
            )
            for chunk in chunks
        ),
        nodes=tuple((node, normalise_name(node.name)) for node in nodes),
        edges=tuple(edges),
    )


def _chunk(book_id: str, source_id: str, title: str, text: str) -> Chunk:
    return Chunk(
        chunk_id=f"{title} {text}",
        anchor_id=title,
        content_sha=sha256_hex(text.encode()),
        source_id=source_id,
        page=1,
        page_end=1,
        page_label=None,
        spans=(PageSpan(page=1, char_start=0, char_end=len(text)),),
        kind=ChunkKind.PROSE,
        breadcrumb=(title,),
        text_raw=text,
        text=text,
        prev=None,
        next=None,
        metadata=ChunkMetadata(book_id=book_id, section_id=None),
    )
