"""Books on their way into the corpus, with the words that they are found by."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from filmgate.core.rulebook import Chunk, Edge, Edition, Embedding, Node, Toc


class Standing(NamedTuple):
    """How often a word stands in a chunk, and where."""

    in_title: int
    in_crumb: int
    in_text: int


TITLE_WEIGHT = 5.0
CRUMB_WEIGHT = 2.0
"""How many times in a text a word counts that stands in its title, or in those above (BM25F,
Robertson and Zaragoza 2009). Any of 3 to 8 and 1 to 3 answer the questions tried alike."""


def weight_of(words: Iterable[Standing]) -> float:
    """How long a passage is, in words weighted by where they stand."""
    return sum(TITLE_WEIGHT * w.in_title + CRUMB_WEIGHT * w.in_crumb + w.in_text for w in words)


@dataclass(frozen=True, kw_only=True)
class IndexedChunk:
    """A chunk with its words."""

    chunk: Chunk
    words: Mapping[str, Standing]
    embedding: Embedding | None

    @property
    def weight(self) -> float:
        """How long it is, in words weighted by where they stand."""
        return weight_of(self.words.values())


@dataclass(frozen=True, kw_only=True)
class IndexedBook:
    """A book with all that is asked of it."""

    toc: Toc
    edition: Edition
    chunks: tuple[IndexedChunk, ...]
    nodes: tuple[tuple[Node, str], ...]
    """Each with its name as titles are compared."""
    edges: tuple[Edge, ...]


@dataclass(frozen=True, kw_only=True)
class IndexedBooks:
    """The books of one job."""

    env: str
    words_version: str
    """Of what counted the words."""
    books: tuple[IndexedBook, ...]
