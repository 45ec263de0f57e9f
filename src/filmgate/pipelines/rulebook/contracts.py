"""The contracts of the rulebook pipeline: the files of its six passes, and the corpus."""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Annotated, Literal, TypeVar

from pydantic import Field, RootModel

from filmgate.core.books import BookFormat, Page, PageNumber, PageSpan, Remark
from filmgate.core.digest import digest_of
from filmgate.core.envelope import Id, Int32, Sha256, StorableText
from filmgate.core.plan import Producer
from filmgate.core.records import Record

TOC = "rulebook.toc"
CHUNKS = "rulebook.chunks"
ENRICHED = "rulebook.enriched"
GRAPH = "rulebook.graph"
CLEANUP = "rulebook.cleanup"
"""Schemas of the files from which the corpus is built."""

CORPUS = "corpus"
"""Name of the resource with the editions that are in the corpus."""

Share = Annotated[float, Field(ge=0, le=1)]
Characters = Annotated[int, Field(ge=0)]


class Method(StrEnum):
    """How a section was found; the most certain method is first."""

    OUTLINE = "outline"
    MARKUP = "markup"
    PRINTED_CONTENTS = "printed contents"
    FONT_STYLE = "font style"


class HeadingPlace(Record):
    """Lines of a page that contain a heading, counted from 0."""

    page: PageNumber
    line: Annotated[int, Field(ge=0)]
    lines: Annotated[int, Field(ge=1)] = 1


class Section(Record):
    """A section of a book."""

    section_id: StorableText
    parent_id: StorableText | None
    level: Annotated[int, Field(ge=1)]
    title: StorableText
    """Title in the table of contents."""
    printed: StorableText | None
    """Heading on the page, if it differs from `title`; otherwise None."""
    page_start: PageNumber
    """First page according to the table of contents."""
    page_end: PageNumber
    page_label: str | None
    place: HeadingPlace | None
    """Where the heading was found; None if it was not."""
    method: Method
    confidence: Share
    """An estimate, not a probability: 1 if the outline and the page agree exactly."""
    evidence: StorableText

    @property
    def name(self) -> str:
        """Name of the section for readers."""
        return self.printed or self.title


class Term(Record):
    """An entry of a book's dictionary: a subject with its own section."""

    term_id: StorableText
    term: StorableText
    kind: StorableText
    aliases: tuple[StorableText, ...]
    section_id: StorableText
    page: PageNumber


class Toc(Record):
    """One book in `passA_toc.json`: its sections and its dictionary."""

    source_id: Sha256
    """Digest of the file's bytes."""
    book_id: Id
    """Id of the book in all its printings, derived from its file name."""
    file: StorableText
    format: BookFormat
    title: StorableText
    pages: Annotated[int, Field(ge=1)]
    reader: Producer
    contents: Method
    """How the sections were found."""
    licence: str | None
    attribution: str | None
    """The book's attribution or licence statement; None without one."""
    sections: tuple[Section, ...]
    unlisted: tuple[Section, ...]
    """Headings on the pages that are missing from the table of contents."""
    dictionary: tuple[Term, ...]
    remarks: tuple[Remark, ...]


class Tocs(RootModel[tuple[Toc, ...]]):
    """`passA_toc.json`: all books."""


class SourcePage(Page):
    """One line of `passA_pages.jsonl`: a page of a book."""

    source_id: Sha256


class Part(Record):
    """A part of a book that is small enough for tools with a size limit."""

    path: StorableText
    """Path in `passB_parts.zip`; for a book that was not split, the name of its file."""
    sha256: Sha256
    size_mb: Annotated[float, Field(ge=0)]
    page_from: PageNumber
    page_to: PageNumber
    page_offset: Annotated[int, Field(ge=0)]
    """Number to add to a page number of the part to get the page number of the book."""
    section_ids: tuple[StorableText, ...]
    """Ids of the sections that start in the part."""


class Splits(Record):
    """The parts of one book in `passB_splits.json`."""

    source_id: Sha256
    book_id: Id
    parts: Annotated[tuple[Part, ...], Field(min_length=1)]


class AllSplits(RootModel[tuple[Splits, ...]]):
    """`passB_splits.json`: all books."""


class ChunkKind(StrEnum):
    """Kind of most of a chunk's text."""

    PROSE = "prose"
    LIST = "list"
    TABLE = "table"
    STATBLOCK = "statblock"
    ROW = "row"
    """One row of a table; a view of the chunk that contains the row."""


class ChunkMetadata(Record):
    """Metadata of a chunk."""

    book_id: Id
    section_id: StorableText | None
    part: StorableText | None = None
    """Path of the part of the book that contains the chunk."""


class Chunk(Record):
    """A chunk in `passC_chunks.json`: a paragraph or a few, a table, or a row of a table."""

    chunk_id: StorableText
    """Id derived from the contents, not the position; unchanged by edits and page breaks in other
    places."""
    anchor_id: StorableText
    """Id derived from the section and the chunk's number in it; for a row, from its table and its
    first words. Equal in two printings for the same place."""
    content_sha: Sha256
    source_id: Sha256
    page: PageNumber
    page_end: PageNumber
    page_label: str | None
    spans: Annotated[tuple[PageSpan, ...], Field(min_length=1)]
    kind: ChunkKind
    breadcrumb: tuple[StorableText, ...]
    """Titles of the enclosing sections, outermost first."""
    text_raw: StorableText
    """Unchanged lines from the reader."""
    text: StorableText
    prev: StorableText | None
    next: StorableText | None
    view_of: StorableText | None = None
    """For a row: id of the chunk that contains it."""
    metadata: ChunkMetadata


class Chunks(RootModel[tuple[Chunk, ...]]):
    """`passC_chunks.json`: all chunks."""


class SkippedText(Record):
    """A range of characters that is in no chunk, and why."""

    page: PageNumber
    char_start: Characters
    char_end: Characters
    reason: Literal["furniture", "front matter", "no text layer", "invisible"]
    text: str


class Coverage(Record):
    """Coverage of one book in `passC_coverage.json`: proves that no character was lost.

    White space is not counted.
    """

    source_id: Sha256
    book_id: Id
    characters: Characters
    in_chunks: Characters
    in_skipped: Characters
    skipped: tuple[SkippedText, ...]


class AllCoverage(RootModel[tuple[Coverage, ...]]):
    """`passC_coverage.json`: all books."""


class Entity(Record):
    """An occurrence of a dictionary term in a chunk, in characters of `normalized`."""

    term_id: StorableText
    kind: StorableText
    start: Characters
    end: Characters


class Embedding(Record):
    """The embedding of a chunk."""

    model: StorableText
    model_sha: Sha256
    dim: Annotated[int, Field(ge=1)]
    values: tuple[float, ...]


class Enriched(Record):
    """One chunk in `passD_enriched.json`: its normalised text, entities, keywords and embedding."""

    chunk_id: StorableText
    source_id: Sha256
    normalized: str
    """Text in lower case, without accents and typographic characters."""
    norm_ops: tuple[StorableText, ...]
    entities: tuple[Entity, ...]
    keywords: tuple[StorableText, ...]
    """Words that distinguish the chunk from the rest of its book, most distinctive first."""
    embedding: Embedding | None = None


class AllEnriched(RootModel[tuple[Enriched, ...]]):
    """`passD_enriched.json`: all chunks."""


class Node(Record):
    """A subject of the rules. Its id is `kind:slug:book`: names alone never merge two nodes."""

    node_id: StorableText
    kind: StorableText
    name: StorableText
    source_id: Sha256
    chunk_ids: tuple[StorableText, ...]
    """Chunks that describe the node; a node without any is removed."""


class Edge(Record):
    """A relation between two nodes, the rule that found it, and its source in the book."""

    edge_id: StorableText
    type: StorableText
    src: StorableText
    dst: StorableText
    chunk_ids: Annotated[tuple[StorableText, ...], Field(min_length=1)]
    page: PageNumber
    rule: StorableText
    evidence: StorableText


class Unresolved(Record):
    """A reference whose target is unknown."""

    chunk_id: StorableText
    page: PageNumber
    rule: StorableText
    text: StorableText


class Graph(Record):
    """`passE_graph.json`: the graph of all books."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    unresolved: tuple[Unresolved, ...]


class StaleChunk(Record):
    """A chunk of an earlier printing that is not in this one."""

    chunk_id: StorableText
    book_id: Id
    reason: Literal["changed", "gone"]
    """`changed`: the same place has another text now; `gone`: the place no longer exists."""


class CorpusCheck(Record):
    """The result of checking a property of the whole corpus."""

    name: StorableText
    is_met: bool
    found: StorableText


class Fix(Record):
    """A kind of correction and how often it was made."""

    name: StorableText
    count: Int32


class BookChange(Record):
    """The difference between a book and its last printing in the corpus."""

    source_id: Sha256
    book_id: Id
    edition: Sha256
    """Digest of the chunks and the graph; equal to `before` if nothing changed."""
    before: Sha256 | None
    """Digest of the edition that the book is compared with; None for a new book."""
    kept: Int32
    added: Int32
    changed: Int32
    stale_deleted: Int32
    orphans_removed: Int32


class Cleanup(Record):
    """`passF_cleanup.json`: the changes that ingesting the books makes to the corpus."""

    stale_deleted: Int32
    stale: tuple[StaleChunk, ...]
    kept: Int32
    added: Int32
    changed: Int32
    orphans_removed: tuple[StorableText, ...]
    """Ids of the removed nodes, which no chunk describes."""
    books: tuple[BookChange, ...]
    fixes: tuple[Fix, ...]
    """Corrections made by the earlier passes."""
    checks: tuple[CorpusCheck, ...]


class Edition(Record):
    """The chunks and nodes of one printing of a book, stored for comparison with the next one."""

    edition: Sha256
    chunks: dict[str, str]
    """Chunk ids by anchor id."""
    nodes: dict[str, tuple[str, ...]]
    """Chunk ids by node id."""


BookItem = TypeVar("BookItem", Chunk, Enriched, Node)


def group_by_book(items: Iterable[BookItem]) -> dict[str, list[BookItem]]:
    """Group items by the `source_id` of their book."""
    found: dict[str, list[BookItem]] = {}
    for item in items:
        found.setdefault(item.source_id, []).append(item)
    return found


def group_edges_by_book(graph: Graph) -> dict[str, list[Edge]]:
    """Group edges by the `source_id` of their source node's book, or else target node's book."""
    books = {node.node_id: node.source_id for node in graph.nodes}
    found: dict[str, list[Edge]] = {}
    for edge in graph.edges:
        book = books.get(edge.src) or books.get(edge.dst)
        if book is not None:
            found.setdefault(book, []).append(edge)
    return found


def make_edition(chunks: Sequence[Chunk], nodes: Sequence[Node], edges: Sequence[Edge]) -> Edition:
    """Make the edition of a printing of a book from its chunks and graph."""
    by_node = {node.node_id: node.chunk_ids for node in nodes}
    ids = [chunk.chunk_id for chunk in chunks]
    links = [(edge.edge_id, edge.chunk_ids) for edge in edges]
    digest = digest_of([ids, sorted(by_node.items()), links]).removeprefix("sha256:")
    return Edition(
        edition=digest,
        chunks={chunk.anchor_id: chunk.chunk_id for chunk in chunks},
        nodes=by_node,
    )


class Editions(Record):
    """The resource `corpus`: the last two editions of each book by `book_id`, newer first."""

    env: StorableText
    books: dict[str, tuple[Edition, ...]]
