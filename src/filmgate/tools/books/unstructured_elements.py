"""Read a book with Unstructured, in a sandboxed process; its elements become lines of pages.

The process runs `python -m filmgate.tools.books.unstructured_elements PATH FORMAT OFFSET`.
"""

import os
import sys
from pathlib import Path
from typing import Protocol

from filmgate.core.books import BookFormat, Line, Page, Role
from filmgate.core.errors import Invalid, Unavailable
from filmgate.tools.books.reading import parse_page
from filmgate.tools.books.sandbox import MAX_MEMORY_WITH_OCR_BYTES, run_sandboxed, send
from filmgate.tools.books.sandboxed import run_module

PARTITIONS = {
    BookFormat.PDF: ("pdf", {"strategy": "fast"}),
    BookFormat.EPUB: ("epub", {}),
    BookFormat.HTML: ("html", {}),
    BookFormat.MARKDOWN: ("md", {}),
    BookFormat.TEXT: ("text", {}),
}
ROLES = {"Title": Role.HEADING, "ListItem": Role.ITEM, "Table": Role.ROW}
PAGE_HEADER_CATEGORIES = frozenset({"Header", "Footer", "PageNumber"})
SEPARATOR_LENGTH = 2
"""Number of characters that are counted between two elements, for an empty line."""


MODULE = "filmgate.tools.books.unstructured_elements"


class _ElementMetadata(Protocol):
    page_number: int | None


class _Element(Protocol):
    """Unstructured's element: a block of text."""

    text: str
    category: str
    metadata: _ElementMetadata


def read_elements_sandboxed(path: Path, book_format: BookFormat, offset: int = 0) -> list[Page]:
    """Run `read_elements` in a sandboxed process."""
    messages = run_module(MODULE, str(path.absolute()), book_format.value, str(offset))
    return [parse_page(message["page"]) for message in messages]


def read_elements(path: Path, book_format: BookFormat, offset: int = 0) -> list[Page]:
    """Read the pages of a book, or of a part that begins after `offset` pages.

    The start of a line counts the characters of the page's elements before it. Raises Unavailable
    if Unstructured, or a package that it needs for the format, is not installed. Raises Invalid if
    no element has text, because Unstructured swallows its own failures.
    """
    elements = _elements(path, book_format)
    pages: dict[int, list[Line]] = {}
    starts: dict[int, int] = {}
    for element in elements:
        text = str(element.text or "").strip()
        if not text:
            continue
        number = (element.metadata.page_number or 1) + offset
        start = starts.get(number, 0)
        is_page_header = element.category in PAGE_HEADER_CATEGORIES
        role = Role.PAGE_HEADER if is_page_header else ROLES.get(element.category)
        line = Line(start=start, text=text, role=role or Role.TEXT)
        pages.setdefault(number, []).append(line)
        starts[number] = start + len(text) + SEPARATOR_LENGTH
    if not pages:
        raise Invalid(
            "Unstructured found no text in the book",
            expected="elements with text",
            got=f"{len(elements)} elements",
            hint="Omit --parser, to read the book with the native parser",
        )
    return [Page(page=number, lines=tuple(pages[number])) for number in sorted(pages)]


def _avoid_model_download() -> None:
    """Make Unstructured split sentences at punctuation.

    Otherwise it would download a model for that, although no element that is used here depends on
    it.
    """
    import spacy
    from unstructured.nlp import tokenize

    if not spacy.util.is_package(getattr(tokenize, "_SPACY_MODEL_NAME", "")):
        plain = spacy.blank("en")
        plain.add_pipe("sentencizer")
        tokenize._load_spacy_model = lambda: plain


def _elements(path: Path, book_format: BookFormat) -> list[_Element]:
    from importlib import import_module

    os.environ.setdefault("DO_NOT_TRACK", "true")
    os.environ.setdefault("SCARF_NO_ANALYTICS", "true")
    name, options = PARTITIONS[book_format]
    try:
        _avoid_model_download()
        module = import_module(f"unstructured.partition.{name}")
    except ImportError as error:
        raise Unavailable(
            f"Unstructured is not installed for {book_format.value}",
            expected=f"the packages of unstructured[{name}]",
            got=f"no {error.name}",
            hint=f"pip install 'unstructured[{name}]', or omit --parser",
        ) from error
    return list(getattr(module, f"partition_{name}")(filename=str(path), **options))


def _send_pages(path: Path, book_format: BookFormat, offset: int) -> None:
    for page in read_elements(path, book_format, offset):
        send({"page": page.__dict__})


if __name__ == "__main__":
    source, format_name, page_offset = sys.argv[1:4]
    run_sandboxed(
        lambda: _send_pages(Path(source), BookFormat(format_name), int(page_offset)),
        MAX_MEMORY_WITH_OCR_BYTES,
    )
