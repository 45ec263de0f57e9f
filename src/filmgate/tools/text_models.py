"""Reading text in pictures: RapidOCR (PP-OCR models, inside its wheel)."""

import hashlib
from functools import cached_property
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filmgate.core.errors import Unavailable
from filmgate.core.plan import Producer
from filmgate.core.providers import Line

if TYPE_CHECKING:
    from filmgate.core.providers import Image

THREADS = 2


class RapidReader:
    """Finds lines with a detector, reads each with a recogniser of Chinese, English and more."""

    def __init__(self, *, longest: int) -> None:
        """`longest`: pixels of the longer side at which lines are looked for."""
        import rapidocr  # heavy

        detector, reader = model_files()
        self._engine: Any = rapidocr.RapidOCR(
            params={
                "Det.model_path": str(detector),
                "Rec.model_path": str(reader),
                "Global.log_level": "error",
                "Global.use_cls": False,
                "Det.limit_type": "max",
                "Det.limit_side_len": longest,
                "EngineConfig.onnxruntime.intra_op_num_threads": THREADS,
            }
        )

    @cached_property
    def producer(self) -> Producer:
        """RapidOCR, and the digest of its models."""
        digest = hashlib.sha256()
        for path in model_files():
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
        version = metadata.version("rapidocr")
        return Producer(name="rapidocr", version=version, weights_sha256=digest.hexdigest())

    def read(self, image: "Image") -> list[Line]:
        """Every line, from the top."""
        found = self._engine(image)
        if found.boxes is None:
            return []
        lines = [
            Line(
                text=" ".join(text.split()),
                confidence=round(min(max(float(score), 0.0), 1.0), 4),
                corners=tuple((float(x), float(y)) for x, y in corners),
            )
            for corners, text, score in zip(found.boxes, found.txts, found.scores, strict=True)
        ]
        return sorted(lines, key=lambda line: (line.corners[0][1], line.corners[0][0]))


def model_files() -> tuple[Path, Path]:
    """The detector and the reader inside RapidOCR's wheel; Unavailable where they are not.

    Named outright, because RapidOCR would fetch what it does not find.
    """
    found = find_spec("rapidocr")
    for folder in (found.submodule_search_locations if found else None) or ():
        detectors = sorted((Path(folder) / "models").glob("*_det_*.onnx"))
        readers = sorted((Path(folder) / "models").glob("*_rec_*.onnx"))
        if detectors and readers:
            return detectors[-1], readers[-1]
    raise Unavailable(
        "the models of RapidOCR are not installed",
        expected="a detector and a reader in the wheel of rapidocr",
        got="none",
        hint="pip install --force-reinstall rapidocr",
    )
