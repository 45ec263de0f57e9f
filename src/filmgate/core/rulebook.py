"""What the six passes make of books: the contracts of their files, and of the corpus."""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Annotated, Literal, TypeVar

from pydantic import Field, RootModel

from filmgate.core.books import BookFormat, Box, Page, PageNumber, Remark
from filmgate.core.digest import digest_of
from filmgate.core.envelope import Id, Int32, Sha256, Word
from filmgate.core.plan import Producer
from filmgate.core.records import Record

TOC = "rulebook.toc"
CHUNKS = "rulebook.chunks"
ENRICHED = "rulebook.enriched"
GRAPH = "rulebook.graph"
CLEANUP = "rulebook.cleanup"
"""The schemas of the files that a corpus is made of."""

CORPUS = "corpus"
"""The resource that tells what earlier ingests left in the corpus."""

Share = Annotated[float, Field(ge=0, le=1)]
Characters = Annotated[int, Field(ge=0)]


class Method(StrEnum):
    """How a section was found, the surest first."""

    OUTLINE = "outline"
    MARKUP = "markup"
    PRINTED_CONTENTS = "printed contents"
    FONT_STYLE = "font style"


class Place(Record):
    """Where a heading stands: lines of a page, counted from 0."""

    page: PageNumber
    line: Annotated[int, Field(ge=0)]
    lines: Annotated[int, Field(ge=1)] = 1


class Section(Record):
    """A section of a book."""

    section_id: Word
    parent_id: Word | None
    level: Annotated[int, Field(ge=1)]
    title: Word
    """As the table of contents has it."""
    printed: Word | None
    """As it stands on the page, where that is another spelling."""
    page_start: PageNumber
    """As the table of contents has it."""
    page_end: PageNumber
    page_label: str | None
    place: Place | None
    """Where its heading was found; None where it was not."""
    method: Method
    confidence: Share
    """A judgement, not a probability: 1 where the outline and the page agree to the letter."""
    evidence: Word

    @property
    def name(self) -> str:
        """What readers see."""
        return self.printed or self.title


class Term(Record):
    """An entry of a book's dictionary: something that has a section of its own."""

    term_id: Word
    term: Word
    kind: Word
    aliases: tuple[Word, ...]
    section_id: Word
    page: PageNumber


class Toc(Record):
    """`passA_toc.json`, one book: its sections and its dictionary."""

    source_id: Sha256
    """Of the file's bytes."""
    book_id: Id
    """What the book goes by from one printing to the next: by its file's name."""
    file: Word
    format: BookFormat
    title: Word
    pages: Annotated[int, Field(ge=1)]
    reader: Producer
    contents: Method
    """Where its sections come from."""
    licence: str | None
    attribution: str | None
    """The words in which the book wants its makers named, or states its licence."""
    sections: tuple[Section, ...]
    unlisted: tuple[Section, ...]
    """Headings on the pages that the table of contents does not have."""
    dictionary: tuple[Term, ...]
    remarks: tuple[Remark, ...]


class Tocs(RootModel[tuple[Toc, ...]]):
    """`passA_toc.json`."""


class SourcePage(Page):
    """`passA_pages.jsonl`: a page of one of the books."""

    source_id: Sha256


class Part(Record):
    """A piece of a book that is small enough for tools with a limit."""

    path: Word
    """In `passB_parts.zip`; of a book that was not split, the name of its file."""
    sha256: Sha256
    size_mb: Annotated[float, Field(ge=0)]
    page_from: PageNumber
    page_to: PageNumber
    page_offset: Annotated[int, Field(ge=0)]
    """What is added to a page of the part for the page of the book."""
    section_ids: tuple[Word, ...]
    """Of the sections that begin in it."""


class Splits(Record):
    """`passB_splits.json`, one book."""

    source_id: Sha256
    book_id: Id
    parts: Annotated[tuple[Part, ...], Field(min_length=1)]


class SplitsOfAll(RootModel[tuple[Splits, ...]]):
    """`passB_splits.json`."""


class ChunkKind(StrEnum):
    """What most of a chunk is."""

    PROSE = "prose"
    LIST = "list"
    TABLE = "table"
    STATBLOCK = "statblock"
    ROW = "row"
    """One row of a table; a view of a chunk that holds the row too."""


class Span(Record):
    """Characters of a page, counted as the reader of its format does, and the box around them."""

    page: PageNumber
    char_start: Characters
    char_end: Characters
    bbox: Box | None = None


class ChunkMetadata(Record):
    """What else is known of a chunk."""

    book_id: Id
    section_id: Word | None
    part: Word | None = None
    """The piece of the book that it stands in."""


class Chunk(Record):
    """`passC_chunks.json`: a paragraph or a few, a table, or a row of one."""

    chunk_id: Word
    """Of what the chunk is, not where: it outlives errata and new page breaks elsewhere."""
    anchor_id: Word
    """Of its section and its number there (of a row: of its table, and its first words); what has
    it in two printings is the same place."""
    content_sha: Sha256
    source_id: Sha256
    page: PageNumber
    page_end: PageNumber
    page_label: str | None
    spans: Annotated[tuple[Span, ...], Field(min_length=1)]
    kind: ChunkKind
    breadcrumb: tuple[Word, ...]
    """The titles of the sections around it, the outermost first."""
    text_raw: Word
    """The lines as the reader gave them."""
    text: Word
    prev: Word | None
    next: Word | None
    view_of: Word | None = None
    """Of a row: the chunk that holds it."""
    metadata: ChunkMetadata


class Chunks(RootModel[tuple[Chunk, ...]]):
    """`passC_chunks.json`."""


class Skipped(Record):
    """Characters that are in no chunk, and why."""

    page: PageNumber
    char_start: Characters
    char_end: Characters
    reason: Literal["furniture", "front matter", "no text layer", "invisible"]
    text: str


class Coverage(Record):
    """`passC_coverage.json`, one book: that no character was lost. White space is not counted."""

    source_id: Sha256
    book_id: Id
    characters: Characters
    in_chunks: Characters
    in_skipped: Characters
    skipped: tuple[Skipped, ...]


class CoverageOfAll(RootModel[tuple[Coverage, ...]]):
    """`passC_coverage.json`."""


class Entity(Record):
    """A term of the dictionary in a chunk; places count characters of `normalized`."""

    term_id: Word
    kind: Word
    start: Characters
    end: Characters


class Embedding(Record):
    """A chunk as a vector."""

    model: Word
    model_sha: Sha256
    dim: Annotated[int, Field(ge=1)]
    values: tuple[float, ...]


class Enriched(Record):
    """`passD_enriched.json`: what is known of a chunk besides its text."""

    chunk_id: Word
    source_id: Sha256
    normalized: str
    """Its text in small letters, without accents and typographic signs."""
    norm_ops: tuple[Word, ...]
    entities: tuple[Entity, ...]
    keywords: tuple[Word, ...]
    """The words that set it apart from the rest of its book, the most telling first."""
    embedding: Embedding | None = None


class EnrichedAll(RootModel[tuple[Enriched, ...]]):
    """`passD_enriched.json`."""


class Node(Record):
    """Something that rules speak of. Nobody is merged by name alone: `kind:slug:book`."""

    node_id: Word
    kind: Word
    name: Word
    source_id: Sha256
    chunk_ids: tuple[Word, ...]
    """Every chunk that stands for it; a node without any is removed."""


class Edge(Record):
    """How two nodes hang together, by which rule, and where that is written."""

    edge_id: Word
    type: Word
    src: Word
    dst: Word
    chunk_ids: Annotated[tuple[Word, ...], Field(min_length=1)]
    page: PageNumber
    rule: Word
    evidence: Word


class Unresolved(Record):
    """A reference that leads to nothing that is known."""

    chunk_id: Word
    page: PageNumber
    rule: Word
    text: Word


class Graph(Record):
    """`passE_graph.json`."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    unresolved: tuple[Unresolved, ...]


class Stale(Record):
    """A chunk of an earlier printing that this one does not have."""

    chunk_id: Word
    book_id: Id
    reason: Literal["changed", "gone"]
    """`changed`: the same place has another text now."""


class Check(Record):
    """A property of the whole corpus that was held against it."""

    name: Word
    is_met: bool
    found: Word


class Fix(Record):
    """Something that was mended on the way."""

    name: Word
    count: Int32


class BookChange(Record):
    """How a book differs from its last printing in the corpus."""

    source_id: Sha256
    book_id: Id
    edition: Sha256
    """Of its chunks and of its graph: equal where nothing differs."""
    before: Sha256 | None
    """The edition it is held against; None where there was none other."""
    kept: Int32
    added: Int32
    changed: Int32
    stale_deleted: Int32
    orphans_removed: Int32


class Cleanup(Record):
    """`passF_cleanup.json`: what taking this in does to the corpus."""

    stale_deleted: Int32
    stale: tuple[Stale, ...]
    kept: Int32
    added: Int32
    changed: Int32
    orphans_removed: tuple[Word, ...]
    """Nodes that no chunk stands for any more."""
    books: tuple[BookChange, ...]
    fixes: tuple[Fix, ...]
    """What was mended on the way here."""
    checks: tuple[Check, ...]


class Edition(Record):
    """What the corpus keeps of a printing of a book, to tell the next one from it."""

    edition: Sha256
    chunks: dict[str, str]
    """Chunk ids by their anchors."""
    nodes: dict[str, tuple[str, ...]]
    """Chunk ids by node."""


Piece = TypeVar("Piece", Chunk, Enriched, Node)


def by_book(pieces: Iterable[Piece]) -> dict[str, list[Piece]]:
    """Pieces by the book that they are of."""
    found: dict[str, list[Piece]] = {}
    for each in pieces:
        found.setdefault(each.source_id, []).append(each)
    return found


def edges_by_book(graph: Graph) -> dict[str, list[Edge]]:
    """The edges of each book: of those that a node of theirs is in."""
    books = {node.node_id: node.source_id for node in graph.nodes}
    found: dict[str, list[Edge]] = {}
    for edge in graph.edges:
        book = books.get(edge.src) or books.get(edge.dst)
        if book is not None:
            found.setdefault(book, []).append(edge)
    return found


def edition_of(chunks: Sequence[Chunk], nodes: Sequence[Node], edges: Sequence[Edge]) -> Edition:
    """What tells this printing of a book from others."""
    by_node = {each.node_id: each.chunk_ids for each in nodes}
    ids = [each.chunk_id for each in chunks]
    links = [(each.edge_id, each.chunk_ids) for each in edges]
    digest = digest_of([ids, sorted(by_node.items()), links]).removeprefix("sha256:")
    return Edition(
        edition=digest,
        chunks={each.anchor_id: each.chunk_id for each in chunks},
        nodes=by_node,
    )


class Editions(Record):
    """The resource `corpus`: of each book its last two printings, the newer first."""

    env: Word
    books: dict[str, tuple[Edition, ...]]
