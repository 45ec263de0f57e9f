"""HTML, and what becomes HTML: its blocks of text in order, with the levels of its headings."""

import re
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filmgate.core.books import Book, BookFacts, BookFormat, Line, Page, Remark, Role
from filmgate.core.errors import Invalid
from filmgate.core.plan import Producer
from filmgate.tools.books.front_matter import split_front_matter

if TYPE_CHECKING:
    from lxml.etree import _Element

HEADINGS = {f"h{level}": level for level in range(1, 7)}
SILENT = frozenset({"script", "style", "template", "head", "noscript", "svg", "math", "nav"})
"""Elements whose text nobody reads; `nav` repeats the headings."""

BLOCKS = frozenset(
    {"address", "article", "aside", "blockquote", "body", "caption", "dd", "details", "div", "dl"}
    | {"dt", "fieldset", "figcaption", "figure", "footer", "form", "header", "hr", "html", "li"}
    | {"main", "ol", "p", "pre", "section", "summary", "table", "tbody", "td", "tfoot", "th"}
    | {"thead", "tr", "ul", *HEADINGS}
)
ROLES = {"li": Role.ITEM, "dt": Role.ITEM, "tr": Role.ROW}
_ATTRIBUTES = re.compile(r"^[ \t]*\{:[^}\n]*\}[ \t]*$|^- TOC$(?=\n\{:toc\})", re.MULTILINE)
"""Lines that are attributes of the block beside them, in kramdown and its kin."""

_DOCTYPE = re.compile(r"<!DOCTYPE[^>\[]{0,500}\[[^\]]*\]\s*>", re.IGNORECASE)
"""With declarations of its own, which HTML does not know, and whose rest would be text."""

BETWEEN = "\n\n"
CELL = "\t"
"""Between the cells of a row."""


def open_html(path: Path) -> Book:
    """An HTML file as one page."""
    lines, title = blocks_of(path.read_bytes())
    return book_of(BookFormat.HTML, "lxml", [lines], title)


def open_markdown(path: Path) -> Book:
    """A Markdown file (CommonMark with tables) as one page."""
    from markdown_it import MarkdownIt

    front, text = split_front_matter(text_of(path.read_bytes()))
    html = MarkdownIt("commonmark").enable("table").render(_ATTRIBUTES.sub("", text))
    lines, _ = blocks_of(html.encode("utf-8"))
    remarks: tuple[Remark, ...] = ()
    if front and lines:
        moved = len(front) + len(BETWEEN)
        lines = [line._replace(start=line.start + moved) for line in lines]
        lines.insert(0, Line(start=0, text=front, role=Role.FRONT_MATTER))
        shown = f"{len(front):,} characters of settings in front of the text were left out"
        remarks = (Remark(code="front_matter", message=shown),)
    return book_of(BookFormat.MARKDOWN, "markdown-it-py", [lines], None, remarks)


def open_text(path: Path) -> Book:
    """A plain text as one page; empty lines part its paragraphs."""
    text = text_of(path.read_bytes())
    lines, start = [], 0
    for raw in text.splitlines(keepends=True):
        if raw.strip():
            first = start + len(raw) - len(raw.lstrip())
            lines.append(_plain_line(first, raw.strip()))
        start += len(raw)
    return book_of(BookFormat.TEXT, None, [lines], None)


def _plain_line(start: int, text: str) -> Line:
    """A line of plain text; in capitals alone it is a heading, for that is all it can do."""
    is_heading = text.isupper() and 3 <= len(text) <= 80 and len(text.split()) <= 10  # noqa: PLR2004
    role, level = (Role.HEADING, 1) if is_heading else (Role.TEXT, None)
    return Line(start=start, text=text, role=role, level=level)


def book_of(
    kind: BookFormat,
    package: str | None,
    documents: list[list[Line]],
    title: str | None,
    remarks: tuple[Remark, ...] = (),
) -> Book:
    """A book of documents, each a page; Invalid where there is no text in any."""
    if not any(documents):
        raise Invalid("there is no text in it", expected="a book with text", got="none")
    name, version = package or "filmgate-text", metadata.version(package) if package else "1"
    return Book(
        producer=Producer(name=name, version=version),
        facts=BookFacts(format=kind, pages=len(documents), title=title, remarks=remarks),
        pages=(Page(page=n, lines=tuple(lines)) for n, lines in enumerate(documents, start=1)),
    )


def text_of(data: bytes) -> str:
    """Bytes of a text in UTF-8 (or UTF-16 with its mark); Invalid for others."""
    encoding = "utf-16" if data[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise Invalid(
            "this is no text in UTF-8",
            expected="UTF-8",
            got=f"byte {error.object[error.start]:#04x} at {error.start}",
            hint="Save it as UTF-8, and hand that in",
        ) from error
    if "\0" in text:
        raise Invalid("this is no text", expected="UTF-8", got="NUL among its characters")
    return text


def blocks_of(data: bytes) -> tuple[list[Line], str | None]:
    """The blocks of an HTML document, and its title. Places count characters of the blocks'
    text, with an empty line between them."""
    from lxml import html as lxml_html
    from lxml.etree import ParserError

    parser = lxml_html.HTMLParser(encoding="utf-8", no_network=True, huge_tree=True)
    try:
        root = lxml_html.document_fromstring(
            _DOCTYPE.sub("", text_of(data)).encode("utf-8"), parser=parser
        )
    except ParserError as error:
        raise Invalid("there is no text in it", expected="text", got="none") from error
    if any("depth" in entry.message.lower() for entry in parser.error_log):
        raise Invalid(
            "this HTML is nested too deeply, and would lose text",
            expected="at most 2,000 elements inside each other",
            got="more",
        )
    lines: list[Line] = []
    start = 0
    for text, role, level in _Blocks().of(root):
        lines.append(Line(start=start, text=text, role=role, level=level))
        start += len(text) + len(BETWEEN)
    title = root.findtext(".//title")
    return lines, " ".join(title.split()) if title and title.strip() else None


class _Blocks:
    """Walks a tree of elements without recursion: hostile ones are deep."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._role: tuple[Role, int | None] = (Role.TEXT, None)

    def of(self, root: "_Element") -> Iterator[tuple[str, Role, int | None]]:
        """(text, role, level) of every block with text."""
        todo: list[tuple[str, Any]] = [("open", root)]
        while todo:
            step, element = todo.pop()
            if step == "tail":
                self._parts.append(element.tail or "")
            elif step == "close":
                yield from self._close(element)
            elif isinstance(element.tag, str) and element.tag.lower() not in SILENT:
                yield from self._open(element)
                todo.append(("close", element))
                for child in reversed(element):
                    todo += [("tail", child), ("open", child)]
        yield from self._flush()

    def _open(self, element: "_Element") -> Iterator[tuple[str, Role, int | None]]:
        tag = element.tag.lower()
        if tag == "br":
            self._parts.append("\n")
        if self._is_in_row and tag in BLOCKS - {"td", "th", "tr"}:
            self._parts.append(" ")
        elif tag in BLOCKS and not (tag in {"td", "th"} and self._is_in_row):
            yield from self._flush()
            self._role = (Role.HEADING, HEADINGS[tag]) if tag in HEADINGS else self._role
            self._role = (ROLES[tag], None) if tag in ROLES else self._role
            if tag == "tr" and all(child.tag == "th" for child in element):
                self._role = (Role.HEAD, None)
        self._parts.append(element.text or "")

    def _close(self, element: "_Element") -> Iterator[tuple[str, Role, int | None]]:
        tag = element.tag.lower()
        if tag in {"td", "th"}:
            self._parts.append(CELL)
        elif self._is_in_row and tag in BLOCKS - {"tr", "table"}:
            self._parts.append(" ")
        elif tag in BLOCKS:
            yield from self._flush()
            self._role = (Role.TEXT, None)

    @property
    def _is_in_row(self) -> bool:
        return self._role[0] in {Role.ROW, Role.HEAD}

    def _flush(self) -> Iterator[tuple[str, Role, int | None]]:
        cells = "".join(self._parts).split(CELL) if self._is_in_row else ["".join(self._parts)]
        text = CELL.join(" ".join(cell.split()) for cell in cells).strip(CELL)
        self._parts.clear()
        if text.strip():
            yield (text, *self._role)
