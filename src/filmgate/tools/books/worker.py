"""The process that a book is read in: `python -m filmgate.tools.books.worker PATH FORMAT OCR`.

It says on standard output, one JSON document a line: who reads (`producer`) and what is known
(`facts`), every `page`, and at last `end`; or an `error`. What a hostile file does to it, it does
to nobody else.
"""

import json
import resource
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from filmgate.core.books import Book, BookFormat, BookReader, Page
from filmgate.core.errors import FilmgateError, Invalid
from filmgate.tools.books.epub import open_epub
from filmgate.tools.books.markup import open_html, open_markdown, open_text
from filmgate.tools.books.pdf import open_pdf

MAX_MEMORY_BYTES = 3 << 30
MAX_MEMORY_WITH_OCR_BYTES = 12 << 30
"""Of addresses, of which the libraries reserve far more than they use."""

MAX_CPU_S = 1800

READERS: Mapping[BookFormat, BookReader] = {
    BookFormat.PDF: open_pdf,
    BookFormat.EPUB: open_epub,
    BookFormat.HTML: open_html,
    BookFormat.MARKDOWN: open_markdown,
    BookFormat.TEXT: open_text,
}


def main(path: str, book_format: str, ocr: str) -> None:
    """Read one book, and say what was read."""
    is_ocr = ocr == "ocr"
    _limit(MAX_MEMORY_WITH_OCR_BYTES if is_ocr else MAX_MEMORY_BYTES)
    try:
        book = READERS[BookFormat(book_format)](Path(path))
        _say({"producer": _plain(book.producer), "facts": _plain(book.facts)})
        for page in _pages(book, Path(path), is_ocr=is_ocr):
            _say({"page": _page(page)})
        _say({"end": True})
    except MemoryError:
        _say({"error": _error(Invalid("it takes more memory than a book may", got="a bomb?"))})
    except FilmgateError as error:
        _say({"error": _error(error)})
    except (ValueError, OSError, RuntimeError, RecursionError) as error:
        told = f"{type(error).__name__}: {error}"[:500]
        _say({"error": _error(Invalid("it cannot be read", expected="a whole file", got=told))})


def _pages(book: Book, path: Path, *, is_ocr: bool) -> Iterator[Page]:
    if not is_ocr or book.facts.format is not BookFormat.PDF:
        return book.pages
    from filmgate.tools.books.scans import read_off  # heavy, and only where it is asked for

    return read_off(path, book.pages)


def _limit(memory_bytes: int) -> None:
    for kind, most in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_CPU, MAX_CPU_S),
        (resource.RLIMIT_CORE, 0),
    ):
        with suppress(ValueError, OSError):  # where the system has less, it is less
            resource.setrlimit(kind, (most, resource.getrlimit(kind)[1]))


def _error(error: FilmgateError) -> dict[str, Any]:
    return {
        "message": error.message,
        "expected": error.expected,
        "got": error.got,
        "hint": error.hint,
        "code": error.code,
    }


def _plain(value: Any) -> Any:
    return value.model_dump(mode="json")


def _page(page: Page) -> dict[str, Any]:
    """A page as JSON takes it; its lines are tuples already."""
    return {**page.__dict__, "lines": page.lines}


def _say(told: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(told, separators=(",", ":")) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:4])
