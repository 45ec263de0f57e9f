"""Split a PDF into parts with pikepdf, in a sandboxed process.

`python -m filmgate.tools.books.splitting PATH FOLDER LIMIT_BYTES STARTS` writes the parts into
FOLDER, and sends the page range of each. STARTS is a JSON file with the first pages of chapters.
"""

import io
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from filmgate.core.errors import Invalid
from filmgate.tools.books.page_ranges import PageRange, chapter_ranges, split_by_size
from filmgate.tools.books.sandbox import run_sandboxed, send
from filmgate.tools.books.sandboxed import run_module

if TYPE_CHECKING:
    import pikepdf

MODULE = "filmgate.tools.books.splitting"


def split(
    path: Path, folder: Path, starts: Sequence[int], limit_bytes: int
) -> list[tuple[PageRange, Path]]:
    """Split a PDF at its chapters into parts of at most `limit_bytes`, the same bytes every time.

    `starts`: first pages of the chapters. Raises Invalid if the PDF cannot be read. Pages are
    copied into new documents: if the other pages were removed from a copy instead, their content
    would remain wherever the outline or the structure tree refers to it.
    """
    starts_file = folder / "starts.json"  # the list may not fit on a command line
    starts_file.write_text(json.dumps(sorted(set(starts))))
    messages = run_module(
        MODULE, str(path.absolute()), str(folder), str(limit_bytes), str(starts_file)
    )
    return [(PageRange(*message["pages"]), folder / message["file"]) for message in messages]


def _split(path: Path, folder: Path, limit_bytes: int, starts: Sequence[int]) -> None:
    import pikepdf

    try:
        with pikepdf.open(path) as document:
            for pages, data in _parts(document, limit_bytes, starts):
                name = f"{pages.first:06}-{pages.last:06}.pdf"
                (folder / name).write_bytes(data)
                send({"pages": list(pages), "file": name})
    except pikepdf.PdfError as error:
        raise Invalid(
            "the PDF cannot be split", expected="an intact PDF", got=str(error)
        ) from error


def _parts(
    document: "pikepdf.Pdf", limit_bytes: int, starts: Sequence[int]
) -> Iterator[tuple[PageRange, bytes]]:
    import pikepdf

    def make_part(pages: PageRange) -> bytes:
        buffer = io.BytesIO()
        with pikepdf.new() as part:
            part.pages.extend(document.pages[pages.first - 1 : pages.last])
            mode = pikepdf.ObjectStreamMode.generate
            part.save(buffer, deterministic_id=True, object_stream_mode=mode)
        return buffer.getvalue()

    return split_by_size(chapter_ranges(starts, len(document.pages)), make_part, limit_bytes)


if __name__ == "__main__":
    source, target, limit, chapters = sys.argv[1:5]
    run_sandboxed(
        lambda: _split(
            Path(source), Path(target), int(limit), json.loads(Path(chapters).read_text())
        )
    )
