"""The words of questions put to what was ingested."""

from enum import StrEnum

MAX_MS = 10 * 366 * 24 * 3600 * 1000
"""Ten years. A span beyond that is a unit gone wrong, not a long film."""


class JumpKind(StrEnum):
    """What one may jump to."""

    SCENE = "scene"
    TRANSCRIPT = "transcript"
    OBJECT = "object"
    FACE = "face"
    PLACE = "place"
    OCR = "ocr"
    PERSON = "person"

    @property
    def artifact_type(self) -> str:
        """The type of artifact that it means."""
        return _TYPES[self]


_TYPES = {
    JumpKind.SCENE: "scene",
    JumpKind.TRANSCRIPT: "transcript.segment",
    JumpKind.OBJECT: "object.detection",
    JumpKind.FACE: "face.detection",
    JumpKind.PLACE: "place.classification",
    JumpKind.OCR: "ocr.text",
    JumpKind.PERSON: "screentime.segment",
}


class Direction(StrEnum):
    """Which way through time."""

    NEXT = "next"
    PREV = "prev"
