"""Read an EPUB: the documents of its spine in reading order, from an untrusted ZIP."""

import posixpath
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from filmgate.core.books import Book, BookFormat, Line
from filmgate.core.errors import Invalid
from filmgate.tools.books.markup import make_book, parse_blocks

if TYPE_CHECKING:
    from lxml.etree import _Element

CONTAINER = "META-INF/container.xml"
MAX_DOCUMENT_BYTES = 64 << 20
MAX_TEXT_BYTES = 256 << 20
MAX_RATIO = 200
"""Largest compression ratio of a member; text compressed with DEFLATE stays below 20, a ZIP bomb is
near 1,000."""

RATIO_FROM_BYTES = 1 << 20
"""Size of a member from which its compression ratio is checked, in bytes."""
ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError)
"""Exceptions of zipfile for archives that are damaged, encrypted (RuntimeError) or compressed with
an unknown method (a subclass of RuntimeError)."""

NAMESPACES = {
    "c": "urn:oasis:names:tc:opendocument:xmlns:container",
    "o": "http://www.idpf.org/2007/opf",
    "d": "http://purl.org/dc/elements/1.1/",
}


def open_epub(path: Path) -> Book:
    """Open an EPUB; each document of its spine is a page. Raises Invalid if it cannot be read."""
    try:
        with zipfile.ZipFile(path) as archive:
            documents, title = _read(_Members(archive))
    except ZIP_ERRORS as error:
        raise Invalid(
            "the EPUB cannot be read", expected="an intact ZIP", got=str(error) or "a damaged one"
        ) from error
    return make_book(BookFormat.EPUB, "lxml", documents, title)


class _Members:
    """The members of a ZIP archive, read within limits on size."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._read_bytes = 0
        for info in archive.infolist():
            _check_name(info.filename)

    def read(self, name: str) -> bytes:
        """Read a whole member; raise Invalid if it is missing or too large when unpacked."""
        try:
            info = self._archive.getinfo(name)
        except KeyError as error:
            raise Invalid(
                "the EPUB is incomplete", expected=f"a member {name}", got="none"
            ) from error
        self._check_size(info)
        with self._archive.open(info) as member:
            data = member.read(MAX_DOCUMENT_BYTES + 1)
        self._read_bytes += len(data)
        if len(data) > MAX_DOCUMENT_BYTES or self._read_bytes > MAX_TEXT_BYTES:
            raise _too_large(f"{name} of more than {MAX_DOCUMENT_BYTES >> 20} MB")
        return data

    def _check_size(self, info: zipfile.ZipInfo) -> None:
        ratio = info.file_size / max(info.compress_size, 1)
        if info.file_size > MAX_DOCUMENT_BYTES:
            raise _too_large(f"{info.filename} of {info.file_size >> 20} MB")
        if info.file_size > RATIO_FROM_BYTES and ratio > MAX_RATIO:
            raise _too_large(f"{info.filename}, which unpacks to {ratio:.0f} times its size")


def _too_large(got: str) -> Invalid:
    return Invalid(
        "the EPUB is too large when unpacked",
        expected=f"documents of at most {MAX_DOCUMENT_BYTES >> 20} MB",
        got=got,
    )


def _check_name(name: str) -> None:
    parts = name.replace("\\", "/").split("/")
    if name.startswith(("/", "\\")) or ".." in parts or ":" in parts[0]:
        raise Invalid(
            "a path in the EPUB is outside of the archive",
            expected="members below its root",
            got=repr(name),
            hint="Do not trust the file: it is malicious, or was made by a faulty tool",
        )


def _read(members: _Members) -> tuple[list[list[Line]], str | None]:
    """Return the lines of each document in the spine, and the title."""
    root = _parse_xml(members.read(CONTAINER), CONTAINER).find(".//c:rootfile", NAMESPACES)
    package_path = root.get("full-path") if root is not None else None
    if not package_path:
        raise Invalid("the EPUB is incomplete", expected="a package document", got="none")
    package = _parse_xml(members.read(package_path), package_path)
    items = {item.get("id"): item for item in package.iterfind(".//o:manifest/o:item", NAMESPACES)}
    documents: list[list[Line]] = []
    for reference in package.iterfind(".//o:spine/o:itemref", NAMESPACES):
        item = items.get(reference.get("idref"))
        if item is None or "html" not in (item.get("media-type") or ""):
            continue
        if "nav" in (item.get("properties") or "").split():
            documents.append([])  # the table of contents, which repeats the headings
            continue
        name = _resolve_link(package_path, item.get("href") or "")
        documents.append(parse_blocks(members.read(name))[0])
    title = package.findtext(".//d:title", None, NAMESPACES)
    return documents, " ".join(title.split()) if title else None


def _resolve_link(package_path: str, href: str) -> str:
    """Return the member that a link in the package document refers to.

    Raises Invalid if the link leads outside of the archive.
    """
    name = posixpath.normpath(posixpath.join(posixpath.dirname(package_path), unquote(href)))
    _check_name(name)
    return name


def _parse_xml(data: bytes, name: str) -> "_Element":
    from lxml import etree

    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False
    )
    try:
        return etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        raise Invalid(
            "the EPUB cannot be read", expected=f"XML in {name}", got=str(error)
        ) from error
