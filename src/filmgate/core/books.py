"""A book as read from its file: its facts, and its pages line by line."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NamedTuple

from pydantic import Field

from filmgate.core.plan import Producer
from filmgate.core.records import Record

Box = tuple[float, float, float, float]
"""A rectangle: x0, y0, x1, y1, in points from the top left corner of the page."""

PageNumber = Annotated[int, Field(ge=1, le=1_000_000)]
"""Number of a page in the file, from 1. For a book without pages: number of a document in the
file."""


class BookFormat(StrEnum):
    """File format of a book."""

    PDF = "pdf"
    EPUB = "epub"
    HTML = "html"
    MARKDOWN = "markdown"
    TEXT = "text"


FORMATS_BY_SUFFIX = {
    ".pdf": BookFormat.PDF,
    ".epub": BookFormat.EPUB,
    ".html": BookFormat.HTML,
    ".htm": BookFormat.HTML,
    ".xhtml": BookFormat.HTML,
    ".md": BookFormat.MARKDOWN,
    ".markdown": BookFormat.MARKDOWN,
    ".txt": BookFormat.TEXT,
}
"""Format of a book by the suffix of its file name."""


class Role(StrEnum):
    """Role of a line in the book."""

    TEXT = "text"
    HEADING = "heading"
    ITEM = "item"
    """Item of a list."""
    ROW = "row"
    """Row of a table."""
    HEAD = "head"
    """Header row of a table."""
    PAGE_HEADER = "furniture"
    """Page header, page footer or page number."""
    FRONT_MATTER = "front_matter"
    """Metadata before the text, for the program that renders the book."""


NON_TEXT_ROLES = frozenset({Role.PAGE_HEADER, Role.FRONT_MATTER})
"""Roles of lines outside the book's text. Such lines are in no chunk; the coverage file lists
them."""


class Line(NamedTuple):
    """A line of a page, or a block of a book without pages."""

    start: int
    """Offset of the line in the page's text, in characters as the reader counts them."""
    text: str
    """Unchanged text from the reader."""
    box: Box | None = None
    size: float | None = None
    """Font size, in points."""
    font: str | None = None
    role: Role = Role.TEXT
    level: int | None = None
    """Level of a heading, from 1; None if the file does not give it."""

    @property
    def end(self) -> int:
        """Offset of the end of the line in the page's text, in characters."""
        return self.start + len(self.text)


class OutlineEntry(Record):
    """An entry of the table of contents (outline) embedded in a file."""

    level: Annotated[int, Field(ge=0)]
    title: str
    page: PageNumber | None
    """Target page; None if the entry has none."""


class Remark(Record):
    """A note about a peculiarity of a book, with a code for programs and a message for people."""

    code: str
    message: str


class BookFacts(Record):
    """Facts about a book, as read from its file."""

    format: BookFormat
    pages: Annotated[int, Field(ge=0)]
    title: str | None = None
    outline: tuple[OutlineEntry, ...] = ()
    remarks: tuple[Remark, ...] = ()


class Page(Record):
    """A page with its lines, in file order."""

    page: PageNumber
    label: str | None = None
    """Printed page number; None if the page has none."""
    size: tuple[float, float] | None = None
    """Width and height, in points."""
    lines: tuple[Line, ...] = ()
    is_image: bool = False
    """Whether the page is an image with no text, or with only a short stamp of text."""
    is_ocr: bool = False
    """Whether the lines were recognised in an image."""


@dataclass(frozen=True, kw_only=True)
class Book:
    """An open book."""

    producer: Producer
    facts: BookFacts
    pages: Iterator[Page]


BookReader = Callable[[Path], Book]
"""Function that opens a book. It raises Invalid if the file is broken, locked or hostile, or if its
format is not the one that its name suggests; iterating over the pages may raise Invalid, too. It
never returns an empty book for an unreadable file."""


class PageSpan(Record):
    """A range of characters of a page, as counted by the format's reader, and its box."""

    page: PageNumber
    char_start: Annotated[int, Field(ge=0)]
    char_end: Annotated[int, Field(ge=0)]
    bbox: Box | None = None
