"""Text recognition (OCR) in pictures with RapidOCR, whose PP-OCR models are inside its wheel."""

import hashlib
from functools import cached_property
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from filmgate.core.errors import Unavailable
from filmgate.core.plan import Producer
from filmgate.core.providers import TextLine

if TYPE_CHECKING:
    from filmgate.core.providers import Image

THREADS = 2


class RapidReader:
    """Implements the port `TextReader` with two models.

    A detector finds lines; a recogniser for Chinese, English and other languages reads each of
    them.
    """

    def __init__(self, *, longest: int) -> None:
        """`longest`: the longer side, in pixels, to which a picture is scaled for the detector."""
        import rapidocr  # slow to import

        detector, recogniser = model_files()
        self._engine = rapidocr.RapidOCR(
            params={
                "Det.model_path": str(detector),
                "Rec.model_path": str(recogniser),
                "Global.log_level": "error",
                "Global.use_cls": False,
                "Det.limit_type": "max",
                "Det.limit_side_len": longest,
                "EngineConfig.onnxruntime.intra_op_num_threads": THREADS,
            }
        )

    @cached_property
    def producer(self) -> Producer:
        """RapidOCR's version, and the digest of its models."""
        digest = hashlib.sha256()
        for path in model_files():
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
        version = metadata.version("rapidocr")
        return Producer(name="rapidocr", version=version, weights_sha256=digest.hexdigest())

    def read(self, image: "Image") -> list[TextLine]:
        """Return every line of text, from top to bottom."""
        from rapidocr.utils.output import RapidOCROutput  # slow to import

        found = self._engine(image)
        if not isinstance(found, RapidOCROutput) or found.boxes is None:
            return []
        lines = [
            TextLine(
                text=" ".join(text.split()),
                confidence=round(min(max(float(score), 0.0), 1.0), 4),
                corners=tuple((float(x), float(y)) for x, y in corners),
            )
            for corners, text, score in zip(
                found.boxes, found.txts or (), found.scores or (), strict=True
            )
        ]
        return sorted(lines, key=lambda line: (line.corners[0][1], line.corners[0][0]))


def model_files() -> tuple[Path, Path]:
    """Return the paths of the detector and the recogniser in RapidOCR's wheel.

    They are passed explicitly, because RapidOCR would download models that it does not find.
    Raises Unavailable if they are missing.
    """
    spec = find_spec("rapidocr")
    for folder in (spec.submodule_search_locations if spec else None) or ():
        detectors = sorted((Path(folder) / "models").glob("*_det_*.onnx"))
        recognisers = sorted((Path(folder) / "models").glob("*_rec_*.onnx"))
        if detectors and recognisers:
            return detectors[-1], recognisers[-1]
    raise Unavailable(
        "the models of RapidOCR are not installed",
        expected="a detector and a recogniser in the wheel of rapidocr",
        got="none",
        hint="pip install --force-reinstall rapidocr",
    )
