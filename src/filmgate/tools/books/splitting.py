"""Pages of a PDF as a smaller one, by pikepdf."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from filmgate.core.errors import Invalid

if TYPE_CHECKING:
    import pikepdf


class Splitter:
    """A PDF, of which pages are taken. What it makes of the same pages is the same, to the byte."""

    def __init__(self, document: "pikepdf.Pdf") -> None:
        self._document = document

    @property
    def pages(self) -> int:
        """How many there are."""
        return len(self._document.pages)

    def part(self, first: int, last: int) -> bytes:
        """Pages `first` to `last`, counted from 1, as a PDF of their own.

        They are copied into a new document: one whose other pages are taken away keeps all that
        its outline and its structure tree still hold.
        """
        import pikepdf

        with pikepdf.new() as part:
            part.pages.extend(self._document.pages[first - 1 : last])
            written = io.BytesIO()
            part.save(
                written,
                deterministic_id=True,
                object_stream_mode=pikepdf.ObjectStreamMode.generate,
                linearize=False,
            )
        return written.getvalue()


@contextmanager
def splitting(path: Path) -> Iterator[Splitter]:
    """A PDF to be split; Invalid where it cannot be read."""
    import pikepdf

    try:
        with pikepdf.open(path) as document:
            yield Splitter(document)
    except pikepdf.PdfError as error:
        raise Invalid("this PDF cannot be split", expected="a whole PDF", got=str(error)) from error
