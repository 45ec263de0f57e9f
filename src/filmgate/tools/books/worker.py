"""The process that a book is read in: `python -m filmgate.tools.books.worker PATH FORMAT OCR`.

It says who reads (`producer`) and what is known (`facts`), then every `page`. What a hostile file
does to it, it does to nobody else.
"""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from filmgate.core.books import Book, BookFormat, BookReader, Page
from filmgate.core.errors import Invalid
from filmgate.tools.books.confinement import (
    MAX_MEMORY_BYTES,
    MAX_MEMORY_WITH_OCR_BYTES,
    confine,
    say,
)
from filmgate.tools.books.epub import open_epub
from filmgate.tools.books.markup import open_html, open_markdown, open_text
from filmgate.tools.books.pdf import open_pdf

MAX_CHARACTERS = 32_000_000
"""Of a book; the longest novels have ten million, a rulebook of 400 pages two."""

READERS: Mapping[BookFormat, BookReader] = {
    BookFormat.PDF: open_pdf,
    BookFormat.EPUB: open_epub,
    BookFormat.HTML: open_html,
    BookFormat.MARKDOWN: open_markdown,
    BookFormat.TEXT: open_text,
}


def read(path: Path, book_format: BookFormat, *, is_ocr: bool) -> None:
    """Read one book, and say what was read."""
    book = READERS[book_format](path)
    say({"producer": _plain(book.producer), "facts": _plain(book.facts)})
    characters = 0
    for page in _pages(book, path, is_ocr=is_ocr):
        characters += sum(len(line.text) for line in page.lines)
        if characters > MAX_CHARACTERS:
            raise Invalid(
                "there is more text in it than in any book",
                expected=f"at most {MAX_CHARACTERS:,} characters",
                got=f"more, by page {page.page}",
            )
        say({"page": page.__dict__})


def _pages(book: Book, path: Path, *, is_ocr: bool) -> Iterator[Page]:
    if not is_ocr or book.facts.format is not BookFormat.PDF:
        return book.pages
    from filmgate.tools.books.scans import read_off  # heavy, and only where it is asked for

    return read_off(path, book.pages)


def _plain(value: Any) -> Any:
    return value.model_dump(mode="json")


if __name__ == "__main__":
    given, named, how = sys.argv[1:4]
    confine(
        lambda: read(Path(given), BookFormat(named), is_ocr=how == "ocr"),
        MAX_MEMORY_WITH_OCR_BYTES if how == "ocr" else MAX_MEMORY_BYTES,
    )
