"""The sandboxed process that reads a book: `python -m filmgate.tools.books.worker PATH FORMAT OCR`.

It sends the `producer` and the `facts` of the book, then every `page`. A malicious file can only
harm this process.
"""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import BaseModel, JsonValue

from filmgate.core.books import Book, BookFormat, BookReader, Page
from filmgate.core.errors import Invalid
from filmgate.tools.books.epub import open_epub
from filmgate.tools.books.markdown import open_markdown
from filmgate.tools.books.markup import open_html, open_text
from filmgate.tools.books.pdf import open_pdf
from filmgate.tools.books.sandbox import (
    MAX_MEMORY_BYTES,
    MAX_MEMORY_WITH_OCR_BYTES,
    run_sandboxed,
    send,
)
from filmgate.tools.books.scans import recognise_scans

MAX_CHARACTERS = 32_000_000
"""Longest text of a book, in characters; the longest novels have ten million, a rulebook of 400
pages has two million."""

READERS: Mapping[BookFormat, BookReader] = {
    BookFormat.PDF: open_pdf,
    BookFormat.EPUB: open_epub,
    BookFormat.HTML: open_html,
    BookFormat.MARKDOWN: open_markdown,
    BookFormat.TEXT: open_text,
}


def read(path: Path, book_format: BookFormat, *, is_ocr: bool) -> None:
    """Read one book, and send its content."""
    book = READERS[book_format](path)
    send({"producer": _plain(book.producer), "facts": _plain(book.facts)})
    characters = 0
    for page in _pages(book, path, is_ocr=is_ocr):
        characters += sum(len(line.text) for line in page.lines)
        if characters > MAX_CHARACTERS:
            raise Invalid(
                "the book has too much text",
                expected=f"at most {MAX_CHARACTERS:,} characters",
                got=f"more, up to page {page.page}",
            )
        send({"page": page.__dict__})


def _pages(book: Book, path: Path, *, is_ocr: bool) -> Iterator[Page]:
    if not is_ocr or book.facts.format is not BookFormat.PDF:
        return book.pages
    return recognise_scans(path, book.pages)


def _plain(value: BaseModel) -> dict[str, JsonValue]:
    return value.model_dump(mode="json")


if __name__ == "__main__":
    source, format_name, mode = sys.argv[1:4]
    run_sandboxed(
        lambda: read(Path(source), BookFormat(format_name), is_ocr=mode == "ocr"),
        MAX_MEMORY_WITH_OCR_BYTES if mode == "ocr" else MAX_MEMORY_BYTES,
    )
