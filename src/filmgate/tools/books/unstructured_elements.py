"""Unstructured's elements as pages of lines, for those who want its blocks of text; found in a
process of its own: `python -m filmgate.tools.books.unstructured_elements PATH FORMAT OFFSET`."""

import os
import sys
from pathlib import Path
from typing import Any

from filmgate.core.books import BookFormat, Line, Page, Role
from filmgate.core.errors import Invalid, Unavailable
from filmgate.tools.books.confined import said_by
from filmgate.tools.books.confinement import MAX_MEMORY_WITH_OCR_BYTES, confine, say
from filmgate.tools.books.reading import page_of

PARTITIONS = {
    BookFormat.PDF: ("pdf", {"strategy": "fast"}),
    BookFormat.EPUB: ("epub", {}),
    BookFormat.HTML: ("html", {}),
    BookFormat.MARKDOWN: ("md", {}),
    BookFormat.TEXT: ("text", {}),
}
ROLES = {"Title": Role.HEADING, "ListItem": Role.ITEM, "Table": Role.ROW}
FURNITURE = frozenset({"Header", "Footer", "PageNumber"})
BETWEEN = 2
"""Characters that an element is taken to be from the next: an empty line."""


MODULE = "filmgate.tools.books.unstructured_elements"


def elements_of(path: Path, book_format: BookFormat, offset: int = 0) -> list[Page]:
    """`read_elements`, in a process of its own."""
    told = said_by(MODULE, str(path.absolute()), book_format.value, str(offset))
    return [page_of(each["page"]) for each in told]


def read_elements(path: Path, book_format: BookFormat, offset: int = 0) -> list[Page]:
    """The pages of a book, or of a part of one that begins behind `offset` pages.

    Places count characters of the elements of a page. Raises Unavailable where Unstructured (or
    what it needs for the format) is not installed, Invalid where it gives nothing: it swallows its
    own failures, and would leave an empty book.
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
        role = Role.FURNITURE if element.category in FURNITURE else ROLES.get(element.category)
        line = Line(start=start, text=text, role=role or Role.TEXT)
        pages.setdefault(number, []).append(line)
        starts[number] = start + len(text) + BETWEEN
    if not pages:
        raise Invalid(
            "Unstructured found no text in it",
            expected="elements with text",
            got=f"{len(elements)} elements",
            hint="Leave --parser out: the native one reads it, or says why not",
        )
    return [Page(page=number, lines=tuple(pages[number])) for number in sorted(pages)]


def _without_a_model() -> None:
    """Let Unstructured part sentences by their ends: the model that it would fetch for that is not
    needed for anything that is kept of it."""
    import spacy
    from unstructured.nlp import tokenize

    if not spacy.util.is_package(getattr(tokenize, "_SPACY_MODEL_NAME", "")):
        plain = spacy.blank("en")
        plain.add_pipe("sentencizer")
        tokenize._load_spacy_model = lambda: plain


def _elements(path: Path, book_format: BookFormat) -> list[Any]:
    from importlib import import_module

    os.environ.setdefault("DO_NOT_TRACK", "true")
    os.environ.setdefault("SCARF_NO_ANALYTICS", "true")
    name, options = PARTITIONS[book_format]
    try:
        _without_a_model()
        module = import_module(f"unstructured.partition.{name}")
    except ImportError as error:
        raise Unavailable(
            f"Unstructured is not installed for {book_format.value}",
            expected=f"the packages of unstructured[{name}]",
            got=f"no {error.name}",
            hint=f"pip install 'unstructured[{name}]', or leave --parser out",
        ) from error
    return list(getattr(module, f"partition_{name}")(filename=str(path), **options))


def _tell(path: Path, book_format: BookFormat, offset: int) -> None:
    for page in read_elements(path, book_format, offset):
        say({"page": page.__dict__})


if __name__ == "__main__":
    given, named, behind = sys.argv[1:4]
    confine(lambda: _tell(Path(given), BookFormat(named), int(behind)), MAX_MEMORY_WITH_OCR_BYTES)
