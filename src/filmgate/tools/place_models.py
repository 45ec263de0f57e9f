"""Places365: which of 365 kinds of place a picture shows, from a folder in the model folder."""

import re
from typing import TYPE_CHECKING, Any

from filmgate.core.errors import Invalid
from filmgate.core.plan import Producer
from filmgate.core.resources import Resource
from filmgate.tools.inference import OnnxModel
from filmgate.tools.weights import folder_of, producer_of

if TYPE_CHECKING:
    from filmgate.core.providers import Image, Vectors

LABELS = "categories_places365.txt"
SIZE = 224
MEAN, SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's red, green and blue, which the published weights were trained on."""

_LINE = re.compile(r"(?:/\w/)?(?P<label>\S+)(?:\s+\d+)?")


class Places365:
    """Zhou and others (2017): one `.onnx` file and its `categories_places365.txt`, side by side."""

    def __init__(self, resource: Resource) -> None:
        folder = folder_of(resource)
        self._resource = resource
        models = sorted(folder.glob("*.onnx"))
        if len(models) != 1 or not (folder / LABELS).is_file():
            raise Invalid(
                "this is no folder of Places365",
                expected=f"one .onnx file, and {LABELS} beside it",
                got=", ".join(sorted(each.name for each in folder.iterdir())) or "nothing",
            )
        lines = (folder / LABELS).read_text("utf-8", errors="replace").splitlines()
        self.labels = tuple(_label(line) for line in lines if line.strip())
        self._model = OnnxModel(resource, models[0].read_bytes())
        self._input = next(iter(self._model.inputs))

    @property
    def producer(self) -> Producer:
        """The weights that were added."""
        return producer_of(self._resource)

    def classify(self, image: "Image") -> "Vectors":
        """(n,) float32: a probability for each label, by softmax."""
        import cv2  # heavy
        import numpy as np

        small: Any = cv2.resize(image, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
        scaled = (small[:, :, ::-1].astype(np.float32) / 255 - MEAN) / SPREAD
        pixels = np.ascontiguousarray(scaled.transpose(2, 0, 1)[None]).astype(np.float32)
        raw = next(iter(self._model.run(**{self._input: pixels}).values())).reshape(-1)
        if len(raw) != len(self.labels):
            raise self._model.misfit(f"{len(raw)} numbers for {len(self.labels)} labels")
        likely = np.exp(raw - raw.max())
        shares: Vectors = (likely / likely.sum()).astype(np.float32)
        return shares


def _label(line: str) -> str:
    """`airport terminal` of `/a/airport_terminal 2`."""
    found = _LINE.match(line.strip())
    return (found["label"] if found else line.strip()).replace("_", " ").replace("/", ", ")
