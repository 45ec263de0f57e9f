"""The built-in face models: dlib's, with the weights of face_recognition_models (CC0).

Of those only the 5-point landmarks and the ResNet are used; the 68-point file may not be used
commercially.
"""

import hashlib
from collections.abc import Sequence
from functools import cached_property
from importlib import metadata
from importlib.util import find_spec
from math import exp
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filmgate.core.errors import Unavailable
from filmgate.core.plan import Producer
from filmgate.core.providers import FaceFound, Landmarks
from filmgate.media.boxes import Box

if TYPE_CHECKING:
    from filmgate.core.providers import Image, Vectors

LANDMARKS = "shape_predictor_5_face_landmarks.dat"
RESNET = "dlib_face_recognition_resnet_model_v1.dat"
CROP = 150
"""Pixels each way: what the ResNet was trained on."""

SAME_PERSON = 0.42
"""Average distance between two people's vectors up to which they are one. dlib calls two single
pictures the same up to 0.6; averages over tracks lie closer. On a known clip any value from .252
to .494 parts its three people; on portraits different people lie beyond .8."""


class DlibFaceDetector:
    """HOG and a linear classifier over a pyramid of sizes; finds faces of 70 pixels and more."""

    def __init__(self, *, min_score: float) -> None:
        import dlib  # heavy

        self._detector: Any = dlib.get_frontal_face_detector()
        self._predictor: Any = dlib.shape_predictor(str(weights(LANDMARKS)))
        self._min_score = min_score

    @cached_property
    def producer(self) -> Producer:
        """dlib, and the digest of its landmarks; the detector itself is part of the program."""
        return _producer("dlib-frontal", LANDMARKS)

    def detect(self, image: "Image") -> list[FaceFound]:
        """Every face, the surest first. Works on brightness: a quarter faster than on colour."""
        import cv2  # heavy

        grey: Any = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        rectangles, scores, _ = self._detector.run(grey, 0, self._min_score)
        found = [
            FaceFound(_box(rectangle), _confidence(score), self._points(grey, rectangle))
            for rectangle, score in zip(rectangles, scores, strict=True)
        ]
        return sorted(found, key=lambda face: (-face.confidence, face.box))

    def _points(self, grey: Any, rectangle: Any) -> Landmarks:
        """The middles of the right eye and the left, and the base of the nose."""
        parts = self._predictor(grey, rectangle).parts()
        points = [(float(point.x), float(point.y)) for point in parts]
        return (_middle(points[2], points[3]), _middle(points[0], points[1]), points[4])


class DlibFaceEmbedder:
    """A ResNet of 29 layers, 128 numbers a face; dlib says 99.38 % on Labeled Faces in the Wild."""

    same_person = SAME_PERSON
    is_unit = False

    def __init__(self) -> None:
        import dlib  # heavy

        self._dlib: Any = dlib
        self._predictor: Any = dlib.shape_predictor(str(weights(LANDMARKS)))
        self._net: Any = dlib.face_recognition_model_v1(str(weights(RESNET)))

    @cached_property
    def producer(self) -> Producer:
        """dlib, and the digest of the ResNet."""
        return _producer("dlib-resnet", RESNET)

    def crop(self, image: "Image", box: Box, landmarks: Landmarks) -> "Image":  # noqa: ARG002
        """The face by its own landmarks: other detectors have other points."""
        import numpy as np

        rgb = np.ascontiguousarray(image[:, :, ::-1])
        shape = self._predictor(rgb, _rectangle(self._dlib, box))
        chip: Any = self._dlib.get_face_chip(rgb, shape, CROP)
        return np.ascontiguousarray(chip[:, :, ::-1])

    def embed(self, crops: "Sequence[Image]") -> "Vectors":
        """(n, 128) float32."""
        import numpy as np

        rows = [
            np.asarray(self._net.compute_face_descriptor(np.ascontiguousarray(crop[:, :, ::-1])))
            for crop in crops
        ]
        return np.stack(rows).astype(np.float32) if rows else np.zeros((0, 128), np.float32)


class DlibFollower:
    """Danelljan's discriminative scale-space tracker (2014), as dlib has it."""

    def __init__(self) -> None:
        import dlib  # heavy

        self._dlib: Any = dlib
        self._tracker: Any = dlib.correlation_tracker()

    def start(self, image: "Image", box: Box) -> None:
        """Learn what to follow."""
        x, y, width, height = box
        self._tracker.start_track(image, self._dlib.drectangle(x, y, x + width, y + height))

    def follow(self, image: "Image") -> tuple[Box, float]:
        """Where it is now, and the peak-to-sidelobe ratio."""
        quality = float(self._tracker.update(image))
        place = self._tracker.get_position()
        return Box(place.left(), place.top(), place.width(), place.height()), quality


def weights(name: str) -> Path:
    """A file of face_recognition_models; its own module cannot be imported with new setuptools."""
    found = find_spec("face_recognition_models")
    for folder in (found.submodule_search_locations if found else None) or ():
        if (path := Path(folder) / "models" / name).is_file():
            return path
    raise Unavailable(
        "the weights of the built-in face models are not installed",
        expected=f"{name} in the package face_recognition_models",
        got="nothing by that name",
        hint="pip install 'filmgate[episode]'",
    )


def _middle(one: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
    return ((one[0] + other[0]) / 2, (one[1] + other[1]) / 2)


def _confidence(score: float) -> float:
    """dlib's score, 0 and up without an end, between 0 and 1; no probability."""
    return round(1 - exp(-max(score, 0.0)), 4)


def _producer(name: str, file: str) -> Producer:
    return Producer(
        name=name,
        version=metadata.version("dlib-bin"),
        weights_sha256=hashlib.sha256(weights(file).read_bytes()).hexdigest(),
    )


def _box(rectangle: Any) -> Box:
    left, top = float(rectangle.left()), float(rectangle.top())
    return Box(left, top, float(rectangle.width()), float(rectangle.height()))


def _rectangle(dlib: Any, box: Box) -> Any:
    left, top = round(box.x), round(box.y)
    return dlib.rectangle(left, top, round(box.x + box.width) - 1, round(box.y + box.height) - 1)
