"""Read a PDF with pdfium: lines in file order, with position, font and font size."""

import ctypes
import math
from collections.abc import Iterator
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from filmgate.core.books import (
    Book,
    BookFacts,
    BookFormat,
    Box,
    Line,
    OutlineEntry,
    Page,
    Remark,
    Role,
)
from filmgate.core.errors import Invalid
from filmgate.core.plan import Producer

if TYPE_CHECKING:
    import pypdfium2

MAX_OUTLINE = 50_000
MAX_PAGES = 50_000
TAIL_BYTES = 4096
"""Number of bytes at the end of a file in which the end marker must be (ISO 32000-1, 7.5.5, as
leniently as viewers do)."""

FONT_NAME_BYTES = 128
MAX_STAMP_CHARACTERS = 200
"""Longest text on a page that still counts as a scan, in characters; a page of a book has
thousands, a stamp on a scan some dozens."""

PICTURE_SHARE = 0.5
"""Minimum share of a page that pictures cover if it is a scan."""

CELL_GAP = 0.8
"""Widest gap between words of one table cell, relative to the font size. Spaces of a justified line
stay below 0.6."""


def open_pdf(path: Path) -> Book:
    """Open a PDF with its metadata and outline; raise Invalid if it is damaged or encrypted."""
    document = _open_document(path)
    facts = BookFacts(
        format=BookFormat.PDF,
        pages=len(document),
        title=document.get_metadata_dict().get("Title") or None,
        outline=tuple(_outline(document)),
        remarks=tuple(_remarks(document)),
    )
    producer = Producer(name="pypdfium2", version=metadata.version("pypdfium2"))
    return Book(producer=producer, facts=facts, pages=_pages(document))


def _open_document(path: Path) -> "pypdfium2.PdfDocument":
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(path)
    except pypdfium2.PdfiumError as error:
        if "password" in str(error).lower():
            raise Invalid(
                "the PDF is encrypted and requires a password",
                expected="a PDF that opens without a password",
                got="one that requires its user password",
                hint="Save a copy without a password",
            ) from error
        raise Invalid(
            "the PDF cannot be read",
            expected="an intact PDF",
            got=_pdfium_message(error),
            hint=FETCH_AGAIN,
        ) from error
    if not 0 < len(document) <= MAX_PAGES:
        raise Invalid(
            "the PDF has no pages, or too many",
            expected=f"1 to {MAX_PAGES} pages",
            got=str(len(document)),
        )
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - TAIL_BYTES))
        if b"%%EOF" not in file.read():
            raise Invalid(
                "the PDF is truncated", expected="an end marker %%EOF", got="none", hint=FETCH_AGAIN
            )
    return document


def _pdfium_message(error: Exception) -> str:
    """Return pdfium's part of an error message, without brackets."""
    return str(error).rstrip(". ").rpartition("PDFium: ")[2].rstrip(").") or "an error"


FETCH_AGAIN = "Fetch the file again: it may be truncated or damaged"


def _remarks(document: "pypdfium2.PdfDocument") -> Iterator[Remark]:
    import pypdfium2.raw as pdfium

    if pdfium.FPDF_GetSecurityHandlerRevision(document.raw) >= 0:
        yield Remark(
            code="owner_password",
            message="the owner restricts the use of the PDF (printing, copying): check your rights "
            "before you pass its text on",
        )


def _outline(document: "pypdfium2.PdfDocument") -> Iterator[OutlineEntry]:
    for number, entry in enumerate(document.get_toc(max_depth=30)):
        if number == MAX_OUTLINE:
            return
        target = entry.get_dest()
        index = target.get_index() if target is not None else None
        exists = index is not None and 0 <= index < len(document)
        yield OutlineEntry(
            level=entry.level,
            title=entry.get_title(),
            page=index + 1 if exists and index is not None else None,
        )


def _pages(document: "pypdfium2.PdfDocument") -> Iterator[Page]:
    import pypdfium2

    for number in range(1, len(document) + 1):
        try:
            page = document[number - 1]
            page.set_rotation(0)  # for a rotated page pdfium returns the lines in reverse order
            text = page.get_textpage()
        except pypdfium2.PdfiumError as error:
            raise Invalid(
                f"page {number} cannot be read",
                expected="an intact page",
                got=_pdfium_message(error),
                hint=FETCH_AGAIN,
            ) from error
        width, height = page.get_size()
        lines = tuple(_LineReader(text, height).read_all())
        yield Page(
            page=number,
            label=document.get_page_label(number - 1) or None,
            size=(round(width, 1), round(height, 1)),
            lines=lines,
            is_image=_is_scan(page, lines, width * height),
        )
        text.close()
        page.close()


def _is_scan(page: "pypdfium2.PdfPage", lines: tuple[Line, ...], area: float) -> bool:
    """Whether a page is covered by pictures and has no more text than a stamp."""
    import pypdfium2
    import pypdfium2.raw as pdfium

    if sum(len(line.text) for line in lines) > MAX_STAMP_CHARACTERS or area <= 0:
        return False
    covered = 0.0
    with suppress(pypdfium2.PdfiumError):
        for picture in page.get_objects(filter=(pdfium.FPDF_PAGEOBJ_IMAGE,), max_depth=3):
            left, bottom, right, top = picture.get_bounds()
            covered += max(0.0, right - left) * max(0.0, top - bottom)
    return covered >= PICTURE_SHARE * area


class _LineReader:
    """Reads the lines of one page with pdfium's C functions, for speed: there are many lines."""

    def __init__(self, text: "pypdfium2.PdfTextPage", height: float) -> None:
        import pypdfium2.raw as pdfium

        self._pdfium = pdfium
        self._text = text
        self._height = height
        self._matrix = pdfium.FS_MATRIX()
        self._sides = [ctypes.c_double() for _ in range(4)]
        self._name = ctypes.create_string_buffer(FONT_NAME_BYTES)
        self._flags = ctypes.c_int()
        self._fonts: dict[bytes, str] = {}
        self._has_all_characters = True

    def read_all(self) -> Iterator[Line]:
        """Yield every line that has more than white space."""
        page_text = self._text.get_text_range()
        self._has_all_characters = len(page_text) == self._text.count_chars()
        start = 0
        for raw in page_text.split("\r\n"):
            body = raw.strip()
            if body:
                first = start + len(raw) - len(raw.lstrip())
                yield self._line(first, body)
            start += len(raw) + 2

    def _line(self, start: int, text: str) -> Line:
        first, last = self._char_index(start), self._char_index(start + len(text) - 1)
        letter = next((n for n, c in enumerate(text) if c.isalnum()), 0)
        typical = self._char_index(start + letter)  # a bullet may have another font
        size = self._size(typical)
        box, is_row = self._box(first, last - first + 1, size * CELL_GAP)
        return Line(
            start=start,
            text=_storable(text),
            box=box,
            size=size,
            font=self._font(typical),
            role=Role.ROW if is_row else Role.TEXT,
        )

    def _char_index(self, index: int) -> int:
        """Convert an index in the page's text to pdfium's character index.

        The two differ if the text omits some characters.
        """
        if self._has_all_characters:
            return index
        return int(self._pdfium.FPDFText_GetCharIndexFromTextIndex(self._text.raw, index))

    def _size(self, character: int) -> float:
        """Return the font size in points.

        A PDF may set the size in the font or in the text matrix, so that the two are multiplied.
        """
        nominal: float = self._pdfium.FPDFText_GetFontSize(self._text.raw, character)
        if self._pdfium.FPDFText_GetMatrix(self._text.raw, character, self._matrix):
            nominal *= math.hypot(self._matrix.c, self._matrix.d)
        return round(nominal, 1) if math.isfinite(nominal) else 0.0

    def _font(self, character: int) -> str | None:
        length = self._pdfium.FPDFText_GetFontInfo(
            self._text.raw, character, self._name, FONT_NAME_BYTES, self._flags
        )
        name = self._name.value if 1 < length <= FONT_NAME_BYTES else b""
        known = self._fonts.get(name)
        if known is None:
            known = self._fonts[name] = name.decode("utf-8", "replace").rpartition("+")[2]
        return known or None

    def _box(self, first: int, count: int, gap: float) -> tuple[Box | None, bool]:
        """Return the bounding box of characters, and whether they are cells of a table row.

        Cells are on one baseline with a gap wider than `gap` between them.
        """
        text, get_rect = self._text.raw, self._pdfium.FPDFText_GetRect
        left, top, right, bottom = self._sides
        rects = self._pdfium.FPDFText_CountRects(text, first, max(count, 1))
        if not rects:
            return None, False
        get_rect(text, 0, left, top, right, bottom)
        x0, y1, x1, y0 = left.value, top.value, right.value, bottom.value
        last_x, last_y, is_row = x1, y0, False
        for index in range(1, rects):
            get_rect(text, index, left, top, right, bottom)
            start, high, end, low = left.value, top.value, right.value, bottom.value
            is_row = is_row or (start - last_x > gap and abs(low - last_y) < gap)
            x0, y1 = min(x0, start), max(y1, high)
            x1, y0 = max(x1, end), min(y0, low)
            last_x, last_y = end, low
        box = (round(x0, 1), round(self._height - y1, 1), round(x1, 1), round(self._height - y0, 1))
        return (box if all(map(math.isfinite, box)) else None), is_row


def _storable(text: str) -> str:
    """Replace lone surrogates, which UTF-8 cannot encode; the length does not change."""
    return text.encode("utf-8", "replace").decode("utf-8") if not text.isascii() else text
