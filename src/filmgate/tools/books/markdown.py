"""Read Markdown (CommonMark with tables) as blocks of text. No text is dropped without a remark.

A web page may drop text that a book must keep: cells of a table row beyond its header, names of
elements that HTML does not know (`<skill>`), alternative texts of images. These become text here.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from filmgate.core.books import Book, BookFormat, Line, Remark, Role
from filmgate.core.errors import Invalid
from filmgate.tools.books.front_matter import split_front_matter
from filmgate.tools.books.markup import (
    BLOCK_ELEMENTS,
    BLOCK_SEPARATOR,
    IGNORED_ELEMENTS,
    decode_text,
    make_book,
    parse_blocks,
)

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

MAX_NESTING = 100
"""Maximum depth of blocks; a list and its item are two levels. The parser drops deeper text."""

_ATTRIBUTE = r"""(?:[.#][\w.#-]+|[\w-]+=(?:"[^"\n]*"|'[^'\n]*'|[^\s"'}]+))"""
_ATTRIBUTES = re.compile(
    rf"^[ \t]*\{{:[ \t]*+(?:\w[\w-]*+(?!=):?[ \t]*)?(?:{_ATTRIBUTE}(?:[ \t]+{_ATTRIBUTE})*)?"
    r"[ \t]*\}[ \t]*$|^[ \t]*\{::[^}\n]*\}[ \t]*$|^- TOC$(?=\n\{:toc\})",
    re.MULTILINE,
)
"""Lines with attributes of a neighbouring block, in kramdown and similar dialects."""

HTML5_ELEMENTS = frozenset(
    {"bdi", "data", "mark", "picture", "ruby", "rb", "rp", "rt", "rtc", "source"}
) | {"time", "track", "wbr"}
"""Elements inside a line that lxml's list, of HTML 4, lacks."""

_LINE_BREAK = re.compile(r"\r\n?|\n")
_TAG = re.compile(r"</?([A-Za-z][\w-]*)")
_OPEN_ENDED = (("<!--", "-->"), ("<script", "</script"), ("<style", "</style"), ("<?", "?>"))
"""Beginnings of HTML blocks that last until their end mark, or else until the end of the text."""


def open_markdown(path: Path) -> Book:
    """Open a Markdown file as a book of one page.

    Raises Invalid if text would be lost: blocks are nested too deeply, or an HTML comment or script
    is not closed.
    """
    front, text = split_front_matter(decode_text(path.read_bytes()))
    blocks = parse_blocks(_render(_ATTRIBUTES.sub("", text)).encode("utf-8"))
    lines = blocks.lines
    remarks: list[Remark] = []
    if front and lines:
        offset = len(front) + len(BLOCK_SEPARATOR)
        lines = [line._replace(start=line.start + offset) for line in lines]
        lines.insert(0, Line(start=0, text=front, role=Role.FRONT_MATTER))
        message = f"{len(front):,} characters of front matter were left out"
        remarks.append(Remark(code="front_matter", message=message))
    if blocks.hidden:
        message = f"{blocks.hidden:,} characters in HTML comments, scripts or menus were left out"
        remarks.append(Remark(code="hidden_html", message=message))
    return make_book(BookFormat.MARKDOWN, "markdown-it-py", [lines], None, tuple(remarks))


def _render(text: str) -> str:
    """Return the text as HTML."""
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"maxNesting": MAX_NESTING}).enable("table")
    tokens = list(_add_surplus_cells(parser, text))
    for token in tokens:
        if token.level >= MAX_NESTING - 1:
            raise Invalid(
                "the Markdown is nested too deeply; text would be lost",
                expected=f"at most {MAX_NESTING // 2} levels of lists or quotes",
                got="more",
            )
        if token.type == "html_block":
            _check_closed(token)
        token.children = token.children and list(_keep_text(token.children))
    return str(parser.renderer.render(tokens, parser.options, {}))


def _add_surplus_cells(parser: "MarkdownIt", text: str) -> "Iterator[Token]":
    """Parse the text, and add the cells that a table row has beyond its header."""
    from markdown_it.rules_block.table import escapedSplit
    from markdown_it.token import Token

    lines = _LINE_BREAK.split(text)
    row: list[str] = []
    for token in parser.parse(text):
        if token.type == "tr_open" and token.map:
            inner = lines[token.map[0]].lstrip(" \t>").rstrip().removeprefix("|")
            row = escapedSplit(inner)
            row = row if row[-1] else row[:-1]
        elif token.type in {"td_open", "th_open"}:
            row = row[1:]
        elif token.type == "tr_close":
            for cell in row:
                yield Token("td_open", "td", 1)
                yield from parser.parseInline(cell.strip())
                yield Token("td_close", "td", -1)
        yield token


def _check_closed(token: "Token") -> None:
    """Raise Invalid if an HTML block hides all text up to the end, because its end is missing."""
    content = token.content.lstrip().lower()
    for opening, closing in _OPEN_ENDED:
        if content.startswith(opening) and closing not in content:
            line = token.map[0] + 1 if token.map else 0
            raise Invalid(
                "an HTML comment or script is not closed; the text after it would be lost",
                expected=f"{closing} after {opening}",
                got=f"none in {len(token.content):,} characters",
                hint=f"Look for {opening} near line {line} of the text after the front matter",
            )


def _keep_text(children: "list[Token]") -> "Iterator[Token]":
    """Turn tags that HTML does not know into text, and add the alternative texts of images."""
    from lxml.html import defs
    from markdown_it.token import Token

    known = defs.tags | BLOCK_ELEMENTS | IGNORED_ELEMENTS | HTML5_ELEMENTS
    for token in children:
        tag = _TAG.match(token.content) if token.type == "html_inline" else None
        if tag is not None and tag[1].lower() not in known:
            token.type = "text"
        yield token
        if token.type == "image" and token.content:
            yield Token("text", "", 0, content=token.content)
