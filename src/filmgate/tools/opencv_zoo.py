"""YuNet and SFace of the OpenCV Zoo: faces and their vectors, from weights in the model folder."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from filmgate.core.errors import Invalid
from filmgate.core.plan import Producer
from filmgate.core.providers import FaceFound, Landmarks
from filmgate.core.resources import Resource
from filmgate.media.boxes import Box
from filmgate.tools.weights import producer_of, weights_of

if TYPE_CHECKING:
    from filmgate.core.providers import Image, Vectors

MIN_CONFIDENCE, NMS_IOU, TOP = 0.7, 0.3, 5000
"""As the OpenCV Zoo's own demo has them, but for the first: 0.9 there, for a webcam."""

SAME_PERSON = 1.128
"""Euclidean distance of two normed vectors; from the OpenCV Zoo's SFace demo (LFW)."""

POINTS = 5
"""Right eye, left eye, nose tip, right and left corner of the mouth."""


class YuNet:
    """Wu and others (2023): a face detector of 75,000 parameters; finds faces from 10 pixels up."""

    def __init__(self, resource: Resource) -> None:
        import cv2  # heavy
        import numpy as np

        data = np.frombuffer(weights_of(resource), np.uint8)
        self._resource = resource
        try:
            self._model: Any = cv2.FaceDetectorYN.create(
                "onnx", data, np.zeros(0, np.uint8), (320, 320), MIN_CONFIDENCE, NMS_IOU, TOP
            )
        except cv2.error as error:
            raise unreadable(resource, error) from error

    @property
    def producer(self) -> Producer:
        """The weights that were added."""
        return producer_of(self._resource)

    def detect(self, image: "Image") -> list[FaceFound]:
        """Every face, the surest first."""
        import cv2  # heavy

        self._model.setInputSize((image.shape[1], image.shape[0]))
        try:
            _, rows = self._model.detect(image)
        except cv2.error as error:
            raise unreadable(self._resource, error) from error
        found = [_face(row) for row in (() if rows is None else rows.tolist())]
        return sorted(found, key=lambda face: (-face.confidence, face.box))


class SFace:
    """Zhong and others (2021): 128 numbers a face. Wants the landmarks that YuNet finds."""

    same_person = SAME_PERSON
    is_unit = True

    def __init__(self, resource: Resource) -> None:
        import cv2  # heavy
        import numpy as np

        data = np.frombuffer(weights_of(resource), np.uint8)
        self._resource = resource
        try:
            self._model: Any = cv2.FaceRecognizerSF.create("onnx", data, np.zeros(0, np.uint8))
        except cv2.error as error:
            raise unreadable(resource, error) from error

    @property
    def producer(self) -> Producer:
        """The weights that were added."""
        return producer_of(self._resource)

    def crop(self, image: "Image", box: Box, landmarks: Landmarks) -> "Image":
        """112 × 112, by YuNet's landmarks."""
        import numpy as np

        row = np.array(
            [[*box, *(value for point in landmarks for value in point), 1.0]], np.float32
        )
        crop: Image = self._model.alignCrop(image, row)
        return crop

    def embed(self, crops: "Sequence[Image]") -> "Vectors":
        """(n, 128) float32, of length 1 each."""
        import cv2  # heavy
        import numpy as np

        try:
            rows = [self._model.feature(crop)[0].copy() for crop in crops]
        except cv2.error as error:
            raise unreadable(self._resource, error) from error
        vectors = np.stack(rows) if rows else np.zeros((0, 128), np.float32)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        unit: Vectors = (vectors / np.maximum(lengths, 1e-9)).astype(np.float32)
        return unit


def unreadable(resource: Resource, error: Exception) -> Invalid:
    """What to raise where OpenCV cannot work with the weights."""
    return Invalid(
        f"the weights of {resource.name} cannot be used",
        expected=f"the ONNX file of {resource.name} from the OpenCV Zoo",
        got=str(error).strip().splitlines()[0][:200],
        hint=f"filmgate models add {resource.name} FILE --replace",
    )


def _face(row: list[float]) -> FaceFound:
    x, y, width, height, *rest = row
    points = tuple((rest[2 * each], rest[2 * each + 1]) for each in range(POINTS))
    confidence = round(min(max(rest[2 * POINTS], 0.0), 1.0), 4)
    return FaceFound(Box(x, y, width, height), confidence, points)
