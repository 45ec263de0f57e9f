"""The ports of the models: one for each task, whichever model does it.

Pictures are arrays (h, w, 3) uint8, blue green red, upright. Boxes are in their pixels. All of
them are deterministic, hold their weights, and are used by one thread at a time.
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
"""Points of a face, x and y; which ones is up to the detector."""


class FaceFound(NamedTuple):
    """A face in a picture."""

    box: Box
    confidence: float
    """0 to 1, rising with the detector's own score; no probability."""
    landmarks: Landmarks


class FaceDetector(Protocol):
    """Finds faces."""

    @property
    def producer(self) -> Producer:
        """Which model."""

    def detect(self, image: "Image") -> list[FaceFound]:
        """Every face, the surest first."""


class FaceEmbedder(Protocol):
    """Makes vectors of faces, near each other where it is the same person."""

    @property
    def producer(self) -> Producer:
        """Which model; vectors of different producers cannot be compared."""

    @property
    def same_person(self) -> float:
        """The Euclidean distance up to which two are called the same person."""

    @property
    def is_unit(self) -> bool:
        """Whether its vectors have length 1, and means of them should too."""

    def crop(self, image: "Image", box: Box, landmarks: Landmarks) -> "Image":
        """The face alone, turned upright, in the size that `embed` takes."""

    def embed(self, crops: "Sequence[Image]") -> "Vectors":
        """(n, d) float32, one vector for each crop."""


class Seen(NamedTuple):
    """Something in a picture."""

    label: str
    confidence: float
    box: Box


class ObjectDetector(Protocol):
    """Finds things, each with its label; bodies are called `person`."""

    @property
    def producer(self) -> Producer:
        """Which model."""

    def detect(self, image: "Image") -> list[Seen]:
        """Everything it knows, the surest first, each thing once."""


class PlaceClassifier(Protocol):
    """Says what kind of place a picture shows."""

    @property
    def producer(self) -> Producer:
        """Which model."""

    @property
    def labels(self) -> Sequence[str]:
        """The places that it knows."""

    def classify(self, image: "Image") -> "Vectors":
        """(n,) float32, a probability for each of its labels."""


class Line(NamedTuple):
    """A line of text in a picture."""

    text: str
    confidence: float
    corners: Landmarks
    """Four, from its top left clockwise."""


class TextReader(Protocol):
    """Reads text in pictures."""

    @property
    def producer(self) -> Producer:
        """Which model."""

    def read(self, image: "Image") -> list[Line]:
        """Every line, from the top."""


@dataclass(frozen=True, kw_only=True)
class Heard:
    """Some words, and when they were said, in ms from the start of what was listened to."""

    start_ms: int
    end_ms: int
    text: str
    confidence: float | None
    """0 to 1; None where the recogniser does not tell."""
    language: str | None


class Recogniser(Protocol):
    """Hears words in one channel of sound at 16,000 samples a second."""

    @property
    def producer(self) -> Producer:
        """Which model."""

    def recognise(self, blocks: "Iterable[NDArray[np.int16]]") -> Iterator[Heard]:
        """What is said, in order of time; nothing where nothing is."""


class BoxFollower(Protocol):
    """Follows one thing from picture to picture, by its looks alone. Pictures are grey: (h, w)."""

    def start(self, image: "Image", box: Box) -> None:
        """Learn what to follow."""

    def follow(self, image: "Image") -> tuple[Box, float]:
        """Where it is now, and how sure that is: the peak-to-sidelobe ratio of its correlation."""


class TermFinder(Protocol):
    """Finds many terms in a text at once."""

    def find(self, text: str) -> Iterable[tuple[int, int, str]]:
        """(start, end, term) of every one, also where they overlap."""


class SentenceEmbedder(Protocol):
    """Makes vectors of sentences, near each other where they mean the like."""

    @property
    def producer(self) -> Producer:
        """Which model."""

    def embed(self, texts: Sequence[str]) -> "Vectors":
        """(n, d) float32 of length 1, one for each text; what is longer than it reads is cut."""


class Normaliser(Protocol):
    """Makes texts plain; what it gives for each of them, in their order."""

    @property
    def producer(self) -> Producer:
        """Whose work it is."""

    def normalise(self, texts: Sequence[str]) -> list[str]:
        """Each text, cleaned."""
