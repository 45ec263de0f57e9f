"""The words of questions put to what was ingested."""

import base64
import json
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any, TypeVar

from filmgate.core.digest import digest_of
from filmgate.core.errors import UsageError
from filmgate.core.moments import MAX_MS

F = TypeVar("F")

LONGEST_QUERY = 10_000
"""Characters of a question for words."""


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

    @property
    def filters(self) -> tuple[str, ...]:
        """What such a jump may be narrowed by."""
        return _FILTERS[self]


_TYPES = {
    JumpKind.SCENE: "scene",
    JumpKind.TRANSCRIPT: "transcript.segment",
    JumpKind.OBJECT: "object.detection",
    JumpKind.FACE: "face.detection",
    JumpKind.PLACE: "place.classification",
    JumpKind.OCR: "ocr.text",
    JumpKind.PERSON: "screentime.segment",
}
_FILTERS: dict[JumpKind, tuple[str, ...]] = {
    JumpKind.SCENE: (),
    JumpKind.TRANSCRIPT: ("text", "min_confidence"),
    JumpKind.OBJECT: ("label", "min_confidence"),
    JumpKind.FACE: ("face_cluster_id", "min_confidence"),
    JumpKind.PLACE: ("label", "min_confidence"),
    JumpKind.OCR: ("text", "min_confidence"),
    JumpKind.PERSON: ("face_cluster_id", "min_confidence"),
}


class Direction(StrEnum):
    """Which way through time."""

    NEXT = "next"
    PREV = "prev"

    @property
    def outside(self) -> int:
        """Where one stands who has not begun yet: before everything, or after it."""
        return -1 if self is Direction.NEXT else MAX_MS + 1


class TextSource(StrEnum):
    """Where words are looked for."""

    TRANSCRIPT = "transcript"
    OCR = "ocr"
    ALL = "all"

    @property
    def artifact_types(self) -> tuple[str, ...]:
        """The types of artifact that it means."""
        spoken, shown = JumpKind.TRANSCRIPT.artifact_type, JumpKind.OCR.artifact_type
        return {"transcript": (spoken,), "ocr": (shown,), "all": (spoken, shown)}[self.value]


class SelectionMode(StrEnum):
    """How the run is chosen, always among those that are completed and have the type."""

    DEFAULT = "default"
    """As stored for the asset and the type; where nothing is, the latest."""
    LATEST = "latest"
    """The run that finished last."""
    PINNED = "pinned"
    """One run, or one artifact of it; nothing where it is not there."""
    PROFILE = "profile"
    """The latest under a model profile."""
    BEST_QUALITY = "best_quality"
    """The latest under the best profile: `high_quality`, `balanced`, `fast`, then any other."""


class Cursor:
    """Where the next page of a question begins: opaque to callers, safe in a URL."""

    LONGEST = 1000
    GREATEST = 2**53

    @staticmethod
    def of(question: Any, place: list[Any]) -> str:
        """The cursor after something at this place."""
        told = json.dumps([_mark(question), *place]).encode()
        return base64.urlsafe_b64encode(told).decode().rstrip("=")

    @staticmethod
    def after(
        found: Sequence[F], limit: int, question: Any, place: Callable[[F], list[Any]]
    ) -> str | None:
        """The cursor after a page of `limit`; None where not more than that was found."""
        return Cursor.of(question, place(found[limit - 1])) if len(found) > limit else None

    @staticmethod
    def read(cursor: str, question: Any, shape: tuple[type, ...]) -> list[Any]:
        """The place again; UsageError where the text is no cursor of this very question."""
        try:
            text = cursor[: Cursor.LONGEST]
            told = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
            mark, *place = told if isinstance(told, list) else [None]
        except (ValueError, RecursionError):
            mark, place = None, []
        is_good = tuple(map(type, place)) == shape and mark == _mark(question)
        if not is_good or any(isinstance(n, int) and not 0 <= n <= Cursor.GREATEST for n in place):
            raise UsageError(
                "this is no cursor of this question",
                expected="the one that the answer before gave, and nothing else changed",
                got=repr(cursor[:80]),
            )
        return place


def _mark(question: Any) -> str:
    return digest_of(question)[-12:]
