"""Scanned pages: drawn by pdfium, read off by the built-in reader of text on pictures."""

from collections.abc import Iterator
from pathlib import Path

from filmgate.core.books import Line, Page
from filmgate.tools.text_models import RapidReader

DPI = 200
"""At which a page is drawn: letters of 8 points are then 22 pixels high; RapidOCR wants 16."""

LONGEST = 2400
"""Pixels of the longer side at which lines are looked for: a page of A4 at 200 dpi has 2339."""

MIN_CONFIDENCE = 0.5


def read_off(path: Path, pages: Iterator[Page]) -> Iterator[Page]:
    """The pages, those without text as they look."""
    import numpy as np
    import pypdfium2

    document = pypdfium2.PdfDocument(path)
    reader = None
    for page in pages:
        if not page.is_image:
            yield page
            continue
        reader = reader or RapidReader(longest=LONGEST)
        drawn = document[page.page - 1].render(scale=DPI / 72)
        picture = np.ascontiguousarray(drawn.to_numpy()[:, :, :3])
        lines, start = [], 0
        for line in reader.read(picture):
            text = line.text.strip()
            if not text or line.confidence < MIN_CONFIDENCE:
                continue
            across, down = zip(*line.corners, strict=True)
            box = (min(across), min(down), max(across), max(down))
            x0, y0, x1, y1 = (round(side * 72 / DPI, 1) for side in box)
            size = round((y1 - y0) * 0.75, 1)
            lines.append(Line(start=start, text=text, box=(x0, y0, x1, y1), size=size))
            start += len(text) + 1
        yield page.model_copy(update={"lines": tuple(lines), "is_ocr": True, "is_image": False})
