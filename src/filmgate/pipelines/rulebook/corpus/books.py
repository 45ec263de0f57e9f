"""Books to be ingested into the corpus, with their words for full-text search."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from filmgate.pipelines.rulebook.contracts import Chunk, Edge, Edition, Embedding, Node, Toc


class WordCounts(NamedTuple):
    """Occurrences of a word in a chunk: in its title, the titles above it, and its text."""

    in_title: int
    in_crumb: int
    in_text: int


TITLE_WEIGHT = 5.0
CRUMB_WEIGHT = 2.0
"""Weights of a word in the title and in the titles above it (the crumb), relative to a word in the
text (BM25F, Robertson and Zaragoza 2009). The test questions were answered equally well with
any title weight from 3 to 8 and any crumb weight from 1 to 3."""


def weighted_frequency(word: WordCounts) -> float:
    """Return the number of occurrences of a word in a chunk, weighted by position."""
    return TITLE_WEIGHT * word.in_title + CRUMB_WEIGHT * word.in_crumb + word.in_text


def weighted_length(words: Iterable[WordCounts]) -> float:
    """Return the length of a chunk in words, weighted by position."""
    return sum(map(weighted_frequency, words))


@dataclass(frozen=True, kw_only=True)
class IndexedChunk:
    """A chunk with its words and embedding."""

    chunk: Chunk
    words: Mapping[str, WordCounts]
    embedding: Embedding | None


@dataclass(frozen=True, kw_only=True)
class IndexedBook:
    """A book with all data that a search uses."""

    toc: Toc
    edition: Edition
    chunks: tuple[IndexedChunk, ...]
    nodes: tuple[tuple[Node, str], ...]
    """Nodes, each with its name normalised for comparison with titles."""
    edges: tuple[Edge, ...]


@dataclass(frozen=True, kw_only=True)
class IndexedBooks:
    """The books of one job."""

    env: str
    words_version: str
    """Version of the rules by which words were counted."""
    books: tuple[IndexedBook, ...]
