"""Face detector YuNet and face embedder SFace (OpenCV Zoo), with weights from the model folder."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from filmgate.core.errors import Invalid
from filmgate.core.providers import DetectedFace, Landmarks
from filmgate.core.resources import Resource
from filmgate.media.boxes import Box
from filmgate.tools.weights import model_producer, read_weights

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from filmgate.core.providers import Image, Vectors

MIN_CONFIDENCE, NMS_IOU, TOP = 0.7, 0.3, 5000
"""Detection settings of the OpenCV Zoo's demo, except the confidence, which is 0.9 there, for a
webcam."""

SAME_PERSON = 1.128
"""Largest Euclidean distance between two unit vectors of the same person; from the OpenCV Zoo's
SFace demo (LFW)."""

POINTS = 5
"""Number of landmarks: right eye, left eye, nose tip, right and left corner of the mouth."""


class YuNet:
    """A face detector with 75,000 parameters, for faces from 10 pixels up (Wu et al. 2023)."""

    def __init__(self, resource: Resource) -> None:
        import cv2  # slow to import
        import numpy as np

        data = np.frombuffer(read_weights(resource), np.uint8)
        self._resource = resource
        self.producer = model_producer(resource)
        try:
            self._model = cv2.FaceDetectorYN.create(
                "onnx", data, np.zeros(0, np.uint8), (320, 320), MIN_CONFIDENCE, NMS_IOU, TOP
            )
        except cv2.error as error:
            raise unusable_weights(resource, error) from error

    def detect(self, image: "Image") -> list[DetectedFace]:
        """Return every face, the most confident first."""
        import cv2  # slow to import

        self._model.setInputSize((image.shape[1], image.shape[0]))
        try:
            _, rows = self._model.detect(image)
        except cv2.error as error:
            raise unusable_weights(self._resource, error) from error
        return _faces(rows)


class SFace:
    """A face embedder with vectors of 128 numbers (Zhong et al. 2021); requires YuNet's
    landmarks."""

    same_person = SAME_PERSON
    is_unit = True

    def __init__(self, resource: Resource) -> None:
        import cv2  # slow to import
        import numpy as np

        data = np.frombuffer(read_weights(resource), np.uint8)
        self._resource = resource
        self.producer = model_producer(resource)
        try:
            self._model = cv2.FaceRecognizerSF.create("onnx", data, np.zeros(0, np.uint8))
        except cv2.error as error:
            raise unusable_weights(resource, error) from error

    def crop(self, image: "Image", box: Box, landmarks: Landmarks) -> "Image":
        """Return the face aligned by YuNet's landmarks, 112 × 112 pixels."""
        import numpy as np

        row = np.array(
            [[*box, *(value for point in landmarks for value in point), 1.0]], np.float32
        )
        return np.asarray(self._model.alignCrop(image, row), np.uint8)

    def embed(self, crops: "Sequence[Image]") -> "Vectors":
        """Return (n, 128) float32 vectors of length 1."""
        import cv2  # slow to import
        import numpy as np

        try:
            rows = [self._model.feature(crop)[0].copy() for crop in crops]
        except cv2.error as error:
            raise unusable_weights(self._resource, error) from error
        vectors = np.stack(rows) if rows else np.zeros((0, 128), np.float32)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        unit: Vectors = (vectors / np.maximum(lengths, 1e-9)).astype(np.float32)
        return unit


def unusable_weights(resource: Resource, error: Exception) -> Invalid:
    """Make the error for weights that OpenCV cannot use."""
    return Invalid(
        f"the weights of {resource.name} cannot be used",
        expected=f"the ONNX file of {resource.name} from the OpenCV Zoo",
        got=str(error).strip().splitlines()[0][:200],
        hint=f"filmgate models add {resource.name} FILE --replace",
    )


def _faces(rows: "NDArray[np.generic] | None") -> list[DetectedFace]:
    """Convert the rows of YuNet's output, the most confident first; None if it found no face."""
    found = [_face(row) for row in (() if rows is None else rows.tolist())]
    return sorted(found, key=lambda face: (-face.confidence, face.box))


def _face(row: list[float]) -> DetectedFace:
    x, y, width, height, *rest = row
    points = tuple((rest[2 * index], rest[2 * index + 1]) for index in range(POINTS))
    confidence = round(min(max(rest[2 * POINTS], 0.0), 1.0), 4)
    return DetectedFace(Box(x, y, width, height), confidence, points)
