"""EPUB: the documents of its spine in order, read out of a ZIP that is not to be trusted."""

import posixpath
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from filmgate.core.books import Book, BookFormat, Line
from filmgate.core.errors import Invalid
from filmgate.tools.books.markup import blocks_of, book_of

if TYPE_CHECKING:
    from lxml.etree import _Element

CONTAINER = "META-INF/container.xml"
MAX_DOCUMENT_BYTES = 64 << 20
MAX_TEXT_BYTES = 256 << 20
MAX_RATIO = 200
"""Of a member's size to its size in the ZIP; DEFLATE of text stays below 20, a bomb near 1,000."""

RATIO_FROM_BYTES = 1 << 20
BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError)
"""What zipfile raises at archives that are damaged, locked (RuntimeError), or packed in a way that
it does not know (a subclass of that)."""

NAMESPACES = {
    "c": "urn:oasis:names:tc:opendocument:xmlns:container",
    "o": "http://www.idpf.org/2007/opf",
    "d": "http://purl.org/dc/elements/1.1/",
}


def open_epub(path: Path) -> Book:
    """An EPUB; each document of its spine is a page."""
    try:
        with zipfile.ZipFile(path) as archive:
            documents, title = _read(_Members(archive))
    except BROKEN as error:
        raise Invalid(
            "this EPUB cannot be read", expected="a whole ZIP", got=str(error) or "a broken one"
        ) from error
    return book_of(BookFormat.EPUB, "lxml", documents, title)


class _Members:
    """The members of an archive, each only as long as it may be."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._read_bytes = 0
        for info in archive.infolist():
            _check_name(info.filename)

    def read(self, name: str) -> bytes:
        """All of a member; Invalid where it is not there, or would burst."""
        try:
            info = self._archive.getinfo(name)
        except KeyError as error:
            raise Invalid(
                "this EPUB is not whole", expected=f"a member {name}", got="none"
            ) from error
        self._check_size(info)
        with self._archive.open(info) as member:
            data = member.read(MAX_DOCUMENT_BYTES + 1)
        self._read_bytes += len(data)
        if len(data) > MAX_DOCUMENT_BYTES or self._read_bytes > MAX_TEXT_BYTES:
            raise _bomb(f"{name} goes on beyond {MAX_DOCUMENT_BYTES >> 20} MB")
        return data

    def _check_size(self, info: zipfile.ZipInfo) -> None:
        ratio = info.file_size / max(info.compress_size, 1)
        if info.file_size > MAX_DOCUMENT_BYTES:
            raise _bomb(f"{info.filename} of {info.file_size >> 20} MB")
        if info.file_size > RATIO_FROM_BYTES and ratio > MAX_RATIO:
            raise _bomb(f"{info.filename} that unpacks to {ratio:.0f} times its size")


def _bomb(got: str) -> Invalid:
    return Invalid(
        "this EPUB would burst",
        expected=f"documents of at most {MAX_DOCUMENT_BYTES >> 20} MB",
        got=got,
    )


def _check_name(name: str) -> None:
    parts = name.replace("\\", "/").split("/")
    if name.startswith(("/", "\\")) or ".." in parts or ":" in parts[0]:
        raise Invalid(
            "this EPUB reaches outside itself",
            expected="members below its root",
            got=repr(name),
            hint="It was made to harm, or by a broken tool: do not trust it",
        )


def _read(members: _Members) -> tuple[list[list[Line]], str | None]:
    root = _parsed(members.read(CONTAINER), CONTAINER).find(".//c:rootfile", NAMESPACES)
    package_path = root.get("full-path") if root is not None else None
    if not package_path:
        raise Invalid("this EPUB is not whole", expected="a package document", got="none")
    package = _parsed(members.read(package_path), package_path)
    items = {item.get("id"): item for item in package.iterfind(".//o:manifest/o:item", NAMESPACES)}
    documents: list[list[Line]] = []
    for reference in package.iterfind(".//o:spine/o:itemref", NAMESPACES):
        item = items.get(reference.get("idref"))
        if item is None or "html" not in (item.get("media-type") or ""):
            continue
        if "nav" in (item.get("properties") or "").split():
            documents.append([])  # its table of contents, which repeats the headings
            continue
        name = _beside(package_path, item.get("href") or "")
        documents.append(blocks_of(members.read(name))[0])
    title = package.findtext(".//d:title", None, NAMESPACES)
    return documents, " ".join(title.split()) if title else None


def _beside(package_path: str, href: str) -> str:
    """The member that a link in the package document leads to; Invalid where that is outside."""
    name = posixpath.normpath(posixpath.join(posixpath.dirname(package_path), unquote(href)))
    _check_name(name)
    return name


def _parsed(data: bytes, name: str) -> "_Element":
    from lxml import etree

    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False
    )
    try:
        return etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        raise Invalid(
            "this EPUB is not whole", expected=f"XML in {name}", got=str(error)
        ) from error
