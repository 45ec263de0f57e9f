"""Recognise the text of scanned pages: rendered by pdfium, read by the built-in OCR."""

from collections.abc import Iterator
from pathlib import Path

from filmgate.core.books import Line, Page
from filmgate.tools.text_models import RapidReader

DPI = 200
"""Resolution of rendered pages: letters of 8 points are 22 pixels high; RapidOCR requires 16."""

LONGEST_SIDE = 2400
"""Longer side, in pixels, to which a page is scaled to detect lines; an A4 page at 200 dpi has
2339."""

MIN_CONFIDENCE = 0.5


def recognise_scans(path: Path, pages: Iterator[Page]) -> Iterator[Page]:
    """Yield the pages of a PDF; scanned pages get the lines that OCR recognises."""
    import numpy as np
    import pypdfium2

    document = pypdfium2.PdfDocument(path)
    reader = None
    for page in pages:
        if not page.is_image:
            yield page
            continue
        reader = reader or RapidReader(longest=LONGEST_SIDE)
        rendered = document[page.page - 1].render(scale=DPI / 72)
        picture = np.ascontiguousarray(rendered.to_numpy()[:, :, :3])
        lines, start = [], 0
        for line in reader.read(picture):
            text = line.text.strip()
            if not text or line.confidence < MIN_CONFIDENCE:
                continue
            xs, ys = zip(*line.corners, strict=True)
            box = (min(xs), min(ys), max(xs), max(ys))
            x0, y0, x1, y1 = (round(pixels * 72 / DPI, 1) for pixels in box)
            size = round((y1 - y0) * 0.75, 1)
            lines.append(Line(start=start, text=text, box=(x0, y0, x1, y1), size=size))
            start += len(text) + 1
        yield page.model_copy(update={"lines": tuple(lines), "is_ocr": True, "is_image": False})
