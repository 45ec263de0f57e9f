"""A book as a reader gives it: what is known of it, and its pages, line by line."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NamedTuple

from pydantic import Field

from filmgate.core.plan import Producer
from filmgate.core.records import Record

Box = tuple[float, float, float, float]
"""x0, y0, x1, y1 in points from the top left of the page."""

PageNumber = Annotated[int, Field(ge=1, le=1_000_000)]
"""Of the file, from 1; for a book without pages, of its documents."""


class BookFormat(StrEnum):
    """What kind of file a book is."""

    PDF = "pdf"
    EPUB = "epub"
    HTML = "html"
    MARKDOWN = "markdown"
    TEXT = "text"


SUFFIXES = {
    ".pdf": BookFormat.PDF,
    ".epub": BookFormat.EPUB,
    ".html": BookFormat.HTML,
    ".htm": BookFormat.HTML,
    ".xhtml": BookFormat.HTML,
    ".md": BookFormat.MARKDOWN,
    ".markdown": BookFormat.MARKDOWN,
    ".txt": BookFormat.TEXT,
}
"""By the ends of their names."""


class Role(StrEnum):
    """What a line is for."""

    TEXT = "text"
    HEADING = "heading"
    ITEM = "item"
    ROW = "row"
    HEAD = "head"
    """Of a table."""
    FURNITURE = "furniture"
    """A page header or footer, or a page number."""
    FRONT_MATTER = "front_matter"
    """Settings in front of a text, for the program that makes a page of it."""


LEFT_OUT = frozenset({Role.FURNITURE, Role.FRONT_MATTER})
"""Roles of lines that are no text of the book; they are accounted for, and in no chunk."""


class Line(NamedTuple):
    """A line of a page, or a block of a book without pages."""

    start: int
    """Where it starts in the page's text, in characters as the reader counts them."""
    text: str
    """As the reader gives it."""
    box: Box | None = None
    size: float | None = None
    """Of its letters, in points."""
    font: str | None = None
    role: Role = Role.TEXT
    level: int | None = None
    """Of a heading, from 1, where the file says it."""

    @property
    def end(self) -> int:
        """The place behind its last character."""
        return self.start + len(self.text)


class OutlineEntry(Record):
    """A line of a file's own table of contents."""

    level: Annotated[int, Field(ge=0)]
    title: str
    page: PageNumber | None
    """None where it leads nowhere."""


class Remark(Record):
    """Something that whoever reads on should know."""

    code: str
    message: str


class BookFacts(Record):
    """What a file says of itself."""

    format: BookFormat
    pages: Annotated[int, Field(ge=0)]
    title: str | None = None
    outline: tuple[OutlineEntry, ...] = ()
    remarks: tuple[Remark, ...] = ()


class Page(Record):
    """A page, with its lines in the order in which the file gives them."""

    page: PageNumber
    label: str | None = None
    """Its printed number, where it has one."""
    size: tuple[float, float] | None = None
    """Width and height in points."""
    lines: tuple[Line, ...] = ()
    is_image: bool = False
    """Whether it is a picture, with no more than a stamp of text on it."""
    is_ocr: bool = False
    """Whether its lines were read off a picture."""


@dataclass(frozen=True, kw_only=True)
class Book:
    """A book that was opened."""

    producer: Producer
    facts: BookFacts
    pages: Iterator[Page]


BookReader = Callable[[Path], Book]
"""Opens a book. It raises Invalid, also while pages are taken, where a file is broken, locked,
hostile or not what its name says; it never gives an empty book for one it cannot read."""
