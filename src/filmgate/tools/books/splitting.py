"""A PDF in parts, by pikepdf, in a process of its own: `python -m filmgate.tools.books.splitting
PATH FOLDER LIMIT_BYTES STARTS` writes them into FOLDER, and says of each its pages; STARTS is a
JSON file with the pages at which chapters begin."""

import io
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from filmgate.core.errors import Invalid
from filmgate.tools.books.confined import said_by
from filmgate.tools.books.confinement import confine, say
from filmgate.tools.books.parting import Range, chapters, parting

if TYPE_CHECKING:
    import pikepdf

MODULE = "filmgate.tools.books.splitting"


def split(
    path: Path, folder: Path, starts: Sequence[int], limit_bytes: int
) -> list[tuple[Range, Path]]:
    """Part a PDF at its chapters, which begin on the pages `starts`; the same bytes every time.

    Pages are copied into new documents: one whose other pages are taken away keeps all that its
    outline and its structure tree still hold. Raises Invalid where it cannot be read.
    """
    cuts = folder / "starts.json"  # there may be more than fit a command line
    cuts.write_text(json.dumps(sorted(set(starts))))
    told = said_by(MODULE, str(path.absolute()), str(folder), str(limit_bytes), str(cuts))
    return [(Range(*each["pages"]), folder / each["file"]) for each in told]


def _split(path: Path, folder: Path, limit_bytes: int, starts: Sequence[int]) -> None:
    import pikepdf

    try:
        with pikepdf.open(path) as document:
            for pages, data in _parts(document, limit_bytes, starts):
                name = f"{pages.first:06}-{pages.last:06}.pdf"
                (folder / name).write_bytes(data)
                say({"pages": list(pages), "file": name})
    except pikepdf.PdfError as error:
        raise Invalid("this PDF cannot be split", expected="a whole PDF", got=str(error)) from error


def _parts(
    document: "pikepdf.Pdf", limit_bytes: int, starts: Sequence[int]
) -> Iterator[tuple[Range, bytes]]:
    import pikepdf

    def make(pages: Range) -> bytes:
        written = io.BytesIO()
        with pikepdf.new() as part:
            part.pages.extend(document.pages[pages.first - 1 : pages.last])
            mode = pikepdf.ObjectStreamMode.generate
            part.save(written, deterministic_id=True, object_stream_mode=mode)
        return written.getvalue()

    return parting(chapters(starts, len(document.pages)), make, limit_bytes)


if __name__ == "__main__":
    given, into, limit, begun = sys.argv[1:5]
    confine(
        lambda: _split(Path(given), Path(into), int(limit), json.loads(Path(begun).read_text()))
    )
