"""The corpus as a summary of rulebook runs, and as a resource that their last pass reads."""

from collections.abc import Mapping
from functools import partial

from filmgate.core.database import ReadSession, WriteSession
from filmgate.core.digest import canonical_json
from filmgate.core.records import RunHead
from filmgate.core.summaries import FinishedRun, Summary, WriteRows
from filmgate.pipelines.rulebook.corpus import storage
from filmgate.pipelines.rulebook.corpus.indexing import count_words, read_corpus
from filmgate.pipelines.rulebook.pass_a import book_id_from_name
from filmgate.tools.words import version


def _read(run: FinishedRun) -> WriteRows | None:
    corpus = read_corpus(run)
    return partial(storage.put, manifest=run.manifest, corpus=corpus) if corpus else None


def _rebuild(session: WriteSession) -> Mapping[str, int]:
    if not storage.has_books(session):
        return {}
    lists = storage.rebuild_posting_lists(session, count_words, version())
    return {"corpus.posting_lists": lists}


CHUNKS_LABEL = "chunks"

SUMMARY = Summary(
    read=_read,
    rebuild=_rebuild,
    labels={storage.CHUNKS: CHUNKS_LABEL}
    | {
        table: table.removeprefix("corpus.")
        for table in (
            storage.NODES,
            storage.EDGES,
            storage.STALE,
            storage.ORPHANS,
            storage.LATER,
        )
    },
)


def earlier_editions(session: ReadSession, head: RunHead) -> bytes | None:
    """Return the editions of a run's books that earlier runs wrote; None if there are none."""
    books = [book_id_from_name(name) for name in head.source_sha_map]
    earlier = storage.editions(session, head.env, head.asset.id, head.run_id, books)
    return canonical_json(earlier.model_dump(mode="json")) if earlier.books else None
