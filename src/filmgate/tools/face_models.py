"""The built-in face models: dlib's, with the weights of face_recognition_models (CC0).

Only the 5-point landmarks and the ResNet are used; the licence of the 68-point file excludes
commercial use.
"""

from collections.abc import Sequence
from functools import cached_property
from importlib import metadata
from importlib.util import find_spec
from math import exp
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from filmgate.core.digest import sha256_hex
from filmgate.core.errors import Unavailable
from filmgate.core.plan import Producer
from filmgate.core.providers import DetectedFace, Landmarks
from filmgate.media.boxes import Box

if TYPE_CHECKING:
    from filmgate.core.providers import Image, Vectors

LANDMARKS = "shape_predictor_5_face_landmarks.dat"
RESNET = "dlib_face_recognition_resnet_model_v1.dat"
CROP = 150
"""Side of the square pictures on which the ResNet was trained, in pixels."""

SAME_PERSON = 0.42
"""Largest distance between the mean embeddings of two tracks of the same person. dlib's threshold
for single pictures is 0.6; means over tracks are closer. On a known clip, any value from 0.252
to 0.494 separates its three people; on portraits, different people are more than 0.8 apart."""


class _Rectangle(Protocol):
    """dlib's rectangle, in pixels."""

    def left(self) -> float: ...
    def top(self) -> float: ...
    def width(self) -> float: ...
    def height(self) -> float: ...


class DlibFaceDetector:
    """Detects faces of 70 pixels and more with HOG and a linear classifier, at several scales."""

    def __init__(self, *, min_score: float) -> None:
        import dlib  # slow to import

        self._detector = dlib.get_frontal_face_detector()
        self._predictor = dlib.shape_predictor(str(weights_path(LANDMARKS)))
        self._min_score = min_score

    @cached_property
    def producer(self) -> Producer:
        """dlib's version, and the digest of its landmark weights.

        The weights of the detector are part of the program.
        """
        return _producer("dlib-frontal", LANDMARKS)

    def detect(self, image: "Image") -> list[DetectedFace]:
        """Return every face, the most confident first.

        The detector runs on brightness, which is a quarter faster than on colour.
        """
        import cv2  # slow to import
        import numpy as np

        grey = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)
        rectangles, scores, _ = self._detector.run(grey, 0, self._min_score)
        found = [
            DetectedFace(_box(rectangle), _confidence(score), self._points(grey, rectangle))
            for rectangle, score in zip(rectangles, scores, strict=True)
        ]
        return sorted(found, key=lambda face: (-face.confidence, face.box))

    def _points(self, grey: "Image", rectangle: _Rectangle) -> Landmarks:
        """Return the centres of the right and the left eye, and the base of the nose."""
        parts = self._predictor(grey, rectangle).parts()
        points = [(float(point.x), float(point.y)) for point in parts]
        return (_middle(points[2], points[3]), _middle(points[0], points[1]), points[4])


class DlibFaceEmbedder:
    """Computes vectors of 128 numbers with a ResNet of 29 layers.

    Accuracy according to dlib: 99.38 % on Labeled Faces in the Wild.
    """

    same_person = SAME_PERSON
    is_unit = False

    def __init__(self) -> None:
        import dlib  # slow to import

        self._dlib = dlib
        self._predictor = dlib.shape_predictor(str(weights_path(LANDMARKS)))
        self._net = dlib.face_recognition_model_v1(str(weights_path(RESNET)))

    @cached_property
    def producer(self) -> Producer:
        """dlib's version, and the digest of the ResNet's weights."""
        return _producer("dlib-resnet", RESNET)

    def crop(self, image: "Image", box: Box, landmarks: Landmarks) -> "Image":  # noqa: ARG002
        """Return the face, aligned by dlib's landmarks; other detectors have different points."""
        import numpy as np

        rgb = np.ascontiguousarray(image[:, :, ::-1])
        shape = self._predictor(rgb, _rectangle(box))
        chip = self._dlib.get_face_chip(rgb, shape, CROP)
        return np.ascontiguousarray(chip[:, :, ::-1])

    def embed(self, crops: "Sequence[Image]") -> "Vectors":
        """Return (n, 128) float32 vectors."""
        import numpy as np

        rows = [
            np.asarray(self._net.compute_face_descriptor(np.ascontiguousarray(crop[:, :, ::-1])))
            for crop in crops
        ]
        return np.stack(rows).astype(np.float32) if rows else np.zeros((0, 128), np.float32)


class DlibFollower:
    """The discriminative scale-space tracker of Danelljan et al. (2014), as implemented by dlib."""

    def __init__(self) -> None:
        import dlib  # slow to import

        self._dlib = dlib
        self._tracker = dlib.correlation_tracker()

    def start(self, image: "Image", box: Box) -> None:
        """Start tracking the object in this box."""
        x, y, width, height = box
        self._tracker.start_track(image, self._dlib.drectangle(x, y, x + width, y + height))

    def follow(self, image: "Image") -> tuple[Box, float]:
        """Return the object's box in this picture, and the peak-to-sidelobe ratio."""
        quality = float(self._tracker.update(image))
        return _box(self._tracker.get_position()), quality


def weights_path(name: str) -> Path:
    """Return the path of a file in face_recognition_models; raise Unavailable if it is missing.

    The package is not imported, because that fails with new versions of setuptools.
    """
    spec = find_spec("face_recognition_models")
    for folder in (spec.submodule_search_locations if spec else None) or ():
        if (path := Path(folder) / "models" / name).is_file():
            return path
    raise Unavailable(
        "the weights of the built-in face models are not installed",
        expected=f"{name} in the package face_recognition_models",
        got="no file with this name",
        hint="pip install 'filmgate[episode]'",
    )


def _middle(one: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
    return ((one[0] + other[0]) / 2, (one[1] + other[1]) / 2)


def _confidence(score: float) -> float:
    """Map dlib's score, 0 or greater, to 0 to 1; it is not a probability."""
    return round(1 - exp(-max(score, 0.0)), 4)


def _producer(name: str, file: str) -> Producer:
    return Producer(
        name=name,
        version=metadata.version("dlib-bin"),
        weights_sha256=sha256_hex(weights_path(file).read_bytes()),
    )


def _box(rectangle: _Rectangle) -> Box:
    left, top = float(rectangle.left()), float(rectangle.top())
    return Box(left, top, float(rectangle.width()), float(rectangle.height()))


def _rectangle(box: Box) -> _Rectangle:
    import dlib  # slow to import

    left, top = round(box.x), round(box.y)
    right, bottom = round(box.x + box.width) - 1, round(box.y + box.height) - 1
    rectangle: _Rectangle = dlib.rectangle(left, top, right, bottom)
    return rectangle
