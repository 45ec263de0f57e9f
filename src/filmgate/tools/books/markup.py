"""Read HTML and plain text as blocks of text in file order, with heading levels."""

import re
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from filmgate.core.books import Book, BookFacts, BookFormat, Line, Page, Remark, Role
from filmgate.core.errors import Invalid
from filmgate.core.plan import Producer

if TYPE_CHECKING:
    from lxml.etree import _Element

HEADINGS = {f"h{level}": level for level in range(1, 7)}
IGNORED_ELEMENTS = frozenset(
    {"script", "style", "template", "head", "noscript", "svg", "math", "nav"}
)
"""Elements whose text is not displayed, and `nav`, which repeats the headings."""

BLOCK_ELEMENTS = frozenset(
    {"address", "article", "aside", "blockquote", "body", "caption", "dd", "details", "div", "dl"}
    | {"dt", "fieldset", "figcaption", "figure", "footer", "form", "header", "hr", "html", "li"}
    | {"main", "ol", "p", "pre", "section", "summary", "table", "tbody", "td", "tfoot", "th"}
    | {"thead", "tr", "ul", *HEADINGS}
)
ROLES = {"li": Role.ITEM, "dt": Role.ITEM, "tr": Role.ROW}
_DOCTYPE = re.compile(r"<!DOCTYPE[^>\[]{0,500}\[[^\]]*\]\s*>", re.IGNORECASE)
"""A doctype with an internal subset, which HTML does not define. Parsers would treat the rest of it
as text."""

BLOCK_SEPARATOR = "\n\n"
CELL_SEPARATOR = "\t"


def open_html(path: Path) -> Book:
    """Open an HTML file as a book of one page."""
    blocks = parse_blocks(path.read_bytes())
    return make_book(BookFormat.HTML, "lxml", [blocks.lines], blocks.title)


def open_text(path: Path) -> Book:
    """Open a plain text file as a book of one page; empty lines separate its paragraphs."""
    text = decode_text(path.read_bytes())
    lines, start = [], 0
    for raw in text.splitlines(keepends=True):
        if raw.strip():
            first = start + len(raw) - len(raw.lstrip())
            lines.append(_plain_line(first, raw.strip()))
        start += len(raw)
    return make_book(BookFormat.TEXT, None, [lines], None)


def _plain_line(start: int, text: str) -> Line:
    """Make a line of plain text.

    A short line in capitals is a heading, because plain text has no other mark for headings.
    """
    is_heading = text.isupper() and 3 <= len(text) <= 80 and len(text.split()) <= 10  # noqa: PLR2004
    role, level = (Role.HEADING, 1) if is_heading else (Role.TEXT, None)
    return Line(start=start, text=text, role=role, level=level)


def make_book(
    book_format: BookFormat,
    package: str | None,
    documents: list[list[Line]],
    title: str | None,
    remarks: tuple[Remark, ...] = (),
) -> Book:
    """Make a book with one page per document; raise Invalid if no document has text.

    `package`: the distribution that parsed the documents; None if no parser was needed.
    """
    if not any(documents):
        raise Invalid("the book has no text", expected="a book with text", got="none")
    name, version = package or "filmgate-text", metadata.version(package) if package else "1"
    return Book(
        producer=Producer(name=name, version=version),
        facts=BookFacts(format=book_format, pages=len(documents), title=title, remarks=remarks),
        pages=(Page(page=n, lines=tuple(lines)) for n, lines in enumerate(documents, start=1)),
    )


def decode_text(data: bytes) -> str:
    """Decode UTF-8, or UTF-16 with a byte order mark; raise Invalid for other data."""
    encoding = "utf-16" if data[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise Invalid(
            "the text is not valid UTF-8",
            expected="UTF-8",
            got=f"byte {error.object[error.start]:#04x} at {error.start}",
            hint="Save the book as UTF-8",
        ) from error
    if "\0" in text:
        raise Invalid("the file is not a text file", expected="UTF-8", got="a NUL character")
    return text


class Blocks(NamedTuple):
    """An HTML document as blocks of text."""

    lines: list[Line]
    title: str | None
    hidden: int
    """Number of characters of text in `IGNORED_ELEMENTS` and comments."""


def parse_blocks(data: bytes) -> Blocks:
    """Return the blocks of an HTML document.

    The start of a block counts the characters of the blocks before it, with `BLOCK_SEPARATOR`
    between them. Raises Invalid if the document has no text or is nested too deeply.
    """
    from lxml import html as lxml_html
    from lxml.etree import ParserError

    parser = lxml_html.HTMLParser(encoding="utf-8", no_network=True, huge_tree=True)
    try:
        root = lxml_html.document_fromstring(
            _DOCTYPE.sub("", decode_text(data)).encode("utf-8"), parser=parser
        )
    except ParserError as error:
        raise Invalid("the document has no text", expected="text", got="none") from error
    if any("depth" in entry.message.lower() for entry in parser.error_log):
        raise Invalid(
            "the HTML is nested too deeply; text would be lost",
            expected="at most 2,000 levels of elements",
            got="more",
        )
    lines: list[Line] = []
    start = 0
    block_parser = _BlockParser()
    for text, role, level in block_parser.parse(root):
        lines.append(Line(start=start, text=text, role=role, level=level))
        start += len(text) + len(BLOCK_SEPARATOR)
    title = root.findtext(".//title")
    title = " ".join(title.split()) if title and title.strip() else None
    return Blocks(lines, title, block_parser.hidden)


class _BlockParser:
    """Splits a tree of elements into blocks, without recursion, because a tree may be very deep."""

    def __init__(self) -> None:
        self.hidden = 0
        """Number of characters of text in elements that are not displayed, and in comments."""
        self._parts: list[str] = []
        self._role: tuple[Role, int | None] = (Role.TEXT, None)

    def parse(self, root: "_Element") -> Iterator[tuple[str, Role, int | None]]:
        """Yield (text, role, level) of every block with text."""
        stack: list[tuple[str, _Element]] = [("open", root)]
        while stack:
            step, element = stack.pop()
            if step == "tail":
                self._parts.append(element.tail or "")
            elif step == "close":
                yield from self._close(element)
            elif isinstance(element.tag, str) and element.tag.lower() not in IGNORED_ELEMENTS:
                yield from self._open(element)
                stack.append(("close", element))
                for child in reversed(element):
                    stack += [("tail", child), ("open", child)]
            elif isinstance(element.tag, str):
                self.hidden += sum(len(text.strip()) for text in element.itertext())
            else:
                self.hidden += len((element.text or "").strip())
        yield from self._flush()

    def _open(self, element: "_Element") -> Iterator[tuple[str, Role, int | None]]:
        tag = element.tag.lower()
        if tag == "br":
            self._parts.append("\n")
        if self._is_in_row and tag in BLOCK_ELEMENTS - {"td", "th", "tr"}:
            self._parts.append(" ")
        elif tag in BLOCK_ELEMENTS and not (tag in {"td", "th"} and self._is_in_row):
            yield from self._flush()
            self._role = (Role.HEADING, HEADINGS[tag]) if tag in HEADINGS else self._role
            self._role = (ROLES[tag], None) if tag in ROLES else self._role
            if tag == "tr" and all(child.tag == "th" for child in element):
                self._role = (Role.HEAD, None)
        self._parts.append(element.text or "")

    def _close(self, element: "_Element") -> Iterator[tuple[str, Role, int | None]]:
        tag = element.tag.lower()
        if tag in {"td", "th"}:
            self._parts.append(CELL_SEPARATOR)
        elif self._is_in_row and tag in BLOCK_ELEMENTS - {"tr", "table"}:
            self._parts.append(" ")
        elif tag in BLOCK_ELEMENTS:
            yield from self._flush()
            self._role = (Role.TEXT, None)

    @property
    def _is_in_row(self) -> bool:
        return self._role[0] in {Role.ROW, Role.HEAD}

    def _flush(self) -> Iterator[tuple[str, Role, int | None]]:
        text = "".join(self._parts)
        cells = text.split(CELL_SEPARATOR) if self._is_in_row else [text]
        text = CELL_SEPARATOR.join(" ".join(cell.split()) for cell in cells).strip(CELL_SEPARATOR)
        self._parts.clear()
        if text.strip():
            yield (text, *self._role)
