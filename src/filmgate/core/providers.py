"""The ports of models: one interface per task, implemented by several models.

Pictures are upright arrays (h, w, 3) of uint8 with the channels blue, green and red. Boxes are in
pixels of the picture.
All implementations are deterministic, own their weights and are used by one thread at a time.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from filmgate.core.plan import Producer
from filmgate.media.boxes import Box

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Image = NDArray[np.uint8]
    Vectors = NDArray[np.float32]

Landmarks = tuple[tuple[float, float], ...]
"""Points of a face, x and y; which points depends on the detector."""


class DetectedFace(NamedTuple):
    """A face in a picture."""

    box: Box
    confidence: float
    """0 to 1, rising with the detector's score; not a probability."""
    landmarks: Landmarks


class FaceDetector(Protocol):
    """Detects faces."""

    @property
    def producer(self) -> Producer:
        """Name, version and weights of the model."""

    def detect(self, image: "Image") -> list[DetectedFace]:
        """Return all faces, highest confidence first."""


class FaceEmbedder(Protocol):
    """Computes embeddings of faces; those of the same person are near each other."""

    @property
    def producer(self) -> Producer:
        """Name, version and weights; only embeddings of the same producer can be compared."""

    @property
    def same_person(self) -> float:
        """Largest Euclidean distance between two embeddings of the same person."""

    @property
    def is_unit(self) -> bool:
        """Whether embeddings have length 1; their means are then scaled to length 1, too."""

    def crop(self, image: "Image", box: Box, landmarks: Landmarks) -> "Image":
        """Cut out a face, turned upright, in the size that `embed` takes."""

    def embed(self, crops: "Sequence[Image]") -> "Vectors":
        """Return one embedding per crop: (n, d) float32."""


class DetectedObject(NamedTuple):
    """An object in a picture."""

    label: str
    confidence: float
    box: Box


class ObjectDetector(Protocol):
    """Detects labelled objects; the label of bodies is `person`."""

    @property
    def producer(self) -> Producer:
        """Name, version and weights of the model."""

    def detect(self, image: "Image") -> list[DetectedObject]:
        """Return all objects of known labels, highest confidence first, without duplicates."""


class PlaceClassifier(Protocol):
    """Classifies the place that a picture shows."""

    @property
    def producer(self) -> Producer:
        """Name, version and weights of the model."""

    @property
    def labels(self) -> Sequence[str]:
        """The known places."""

    def classify(self, image: "Image") -> "Vectors":
        """Return a probability per label: (n,) float32."""


class TextLine(NamedTuple):
    """A line of text in a picture."""

    text: str
    confidence: float
    corners: Landmarks
    """The four corners, from the top left clockwise."""


class TextReader(Protocol):
    """Recognises text in pictures."""

    @property
    def producer(self) -> Producer:
        """Name, version and weights of the model."""

    def read(self, image: "Image") -> list[TextLine]:
        """Return all lines, from top to bottom."""


@dataclass(frozen=True, kw_only=True)
class RecognisedSpeech:
    """Recognised words, with their time in milliseconds from the start of the audio."""

    start_ms: int
    end_ms: int
    text: str
    confidence: float | None
    """0 to 1; None if the recogniser does not measure it."""
    language: str | None


class Recogniser(Protocol):
    """Recognises speech in mono audio at 16,000 samples per second."""

    @property
    def producer(self) -> Producer:
        """Name, version and weights of the model."""

    def recognise(self, blocks: "Iterable[NDArray[np.int16]]") -> Iterator[RecognisedSpeech]:
        """Yield the recognised speech in order of time; nothing for audio without speech."""


class BoxFollower(Protocol):
    """Follows one object from picture to picture by appearance. Pictures are grey: (h, w)."""

    def start(self, image: "Image", box: Box) -> None:
        """Start to follow the object in `box`."""

    def follow(self, image: "Image") -> tuple[Box, float]:
        """Return the object's box and its certainty, the peak-to-sidelobe ratio of correlation."""


class TermFinder(Protocol):
    """Finds many terms in a text in one pass."""

    def find(self, text: str) -> Iterable[tuple[int, int, str]]:
        """Yield (start, end, term) of every occurrence, including overlapping ones."""


class SentenceEmbedder(Protocol):
    """Computes embeddings of sentences; those of similar meaning are near each other."""

    @property
    def producer(self) -> Producer:
        """Name, version and weights of the model."""

    def embed(self, texts: Sequence[str]) -> "Vectors":
        """Return one vector of length 1 per text: (n, d) float32. Long texts are truncated."""


class Normaliser(Protocol):
    """Normalises texts."""

    @property
    def producer(self) -> Producer:
        """Name and version of the model or program."""

    def normalise(self, texts: Sequence[str]) -> list[str]:
        """Return the normalised texts, in the order of `texts`."""
