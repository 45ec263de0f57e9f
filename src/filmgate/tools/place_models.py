"""Place classifier Places365, for 365 kinds of place, with weights from the model folder."""

import re
from typing import TYPE_CHECKING

from filmgate.core.errors import Invalid
from filmgate.core.resources import Resource
from filmgate.tools.inference import OnnxModel
from filmgate.tools.weights import model_producer, verified_folder

if TYPE_CHECKING:
    from filmgate.core.providers import Image, Vectors

LABELS = "categories_places365.txt"
SIZE = 224
MEAN, STANDARD_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Mean and standard deviation of red, green and blue in ImageNet, with which the published weights
were trained."""

_LINE = re.compile(r"(?:/\w/)?(?P<label>\S+)(?:\s+\d+)?")


class Places365:
    """A place classifier (Zhou et al. 2017).

    Its weights are a folder with one `.onnx` file and `categories_places365.txt`.
    """

    def __init__(self, resource: Resource) -> None:
        folder = verified_folder(resource)
        self.producer = model_producer(resource)
        models = sorted(folder.glob("*.onnx"))
        if len(models) != 1 or not (folder / LABELS).is_file():
            raise Invalid(
                f"{resource.name} is not a Places365 folder",
                expected=f"one .onnx file, and {LABELS}",
                got=", ".join(sorted(path.name for path in folder.iterdir())) or "nothing",
            )
        lines = (folder / LABELS).read_text("utf-8", errors="replace").splitlines()
        self.labels = tuple(_label(line) for line in lines if line.strip())
        self._model = OnnxModel(resource, models[0].read_bytes())
        self._input = next(iter(self._model.inputs))

    def classify(self, image: "Image") -> "Vectors":
        """Return (n,) float32: the softmax probability of each label."""
        import cv2  # slow to import
        import numpy as np

        small = cv2.resize(image, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
        scaled = (small[:, :, ::-1].astype(np.float32) / 255 - MEAN) / STANDARD_DEVIATION
        pixels = np.ascontiguousarray(scaled.transpose(2, 0, 1)[None]).astype(np.float32)
        raw = next(iter(self._model.run(**{self._input: pixels}).values())).reshape(-1)
        if len(raw) != len(self.labels):
            raise self._model.wrong_model(f"{len(raw)} numbers for {len(self.labels)} labels")
        exponentials = np.exp(raw - raw.max())
        probabilities: Vectors = (exponentials / exponentials.sum()).astype(np.float32)
        return probabilities


def _label(line: str) -> str:
    """Parse a line of the label file: `/a/airport_terminal 2` becomes `airport terminal`."""
    match = _LINE.match(line.strip())
    return (match["label"] if match else line.strip()).replace("_", " ").replace("/", ", ")
