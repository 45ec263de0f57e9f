"""Vocabulary of queries over ingested artifacts: kinds, directions, selection modes, cursors."""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any, TypeVar

from filmgate.core.digest import digest_of
from filmgate.core.errors import UsageError
from filmgate.core.moments import MAX_MS

F = TypeVar("F")

LONGEST_QUERY = 10_000
"""Longest text query, in characters."""


class JumpKind(StrEnum):
    """Kind of artifact to jump to."""

    SCENE = "scene"
    TRANSCRIPT = "transcript"
    OBJECT = "object"
    FACE = "face"
    PLACE = "place"
    OCR = "ocr"
    PERSON = "person"

    @property
    def artifact_type(self) -> str:
        """Artifact type of the kind."""
        return _TYPES[self]


def artifact_type_of(kind: str) -> str:
    """Return the artifact type of a kind: a `JumpKind`, or else the type itself."""
    return _TYPES.get(kind, kind)


def filters_of(kind: str) -> tuple[str, ...]:
    """Return the names of the filters that a jump to a kind supports."""
    return _FILTERS.get(artifact_type_of(kind), FILTERS_ON_PAYLOADS)


_TYPES: Mapping[str, str] = {
    JumpKind.SCENE: "scene",
    JumpKind.TRANSCRIPT: "transcript.segment",
    JumpKind.OBJECT: "object.detection",
    JumpKind.FACE: "face.detection",
    JumpKind.PLACE: "place.classification",
    JumpKind.OCR: "ocr.text",
    JumpKind.PERSON: "screentime.segment",
}
_FILTERS: Mapping[str, tuple[str, ...]] = {
    "scene": (),
    "transcript.segment": ("text", "min_confidence"),
    "object.detection": ("label", "min_confidence"),
    "face.detection": ("face_cluster_id", "min_confidence"),
    "place.classification": ("label", "min_confidence"),
    "ocr.text": ("text", "min_confidence"),
    "screentime.segment": ("face_cluster_id", "min_confidence"),
}
FILTERS_ON_PAYLOADS = ("label", "face_cluster_id", "min_confidence")
"""Filters of jumps to other types: they compare the fields `label`, `cluster_id` and `confidence`
of payloads."""


class Direction(StrEnum):
    """Direction of a query in time."""

    NEXT = "next"
    PREV = "prev"

    @property
    def initial_ms(self) -> int:
        """Default start of a query, in milliseconds: before or after all artifacts."""
        return -1 if self is Direction.NEXT else MAX_MS + 1


class TextSource(StrEnum):
    """Kind of text to search."""

    TRANSCRIPT = "transcript"
    OCR = "ocr"
    ALL = "all"

    @property
    def artifact_types(self) -> tuple[str, ...]:
        """Artifact types of the source."""
        spoken, shown = JumpKind.TRANSCRIPT.artifact_type, JumpKind.OCR.artifact_type
        return {"transcript": (spoken,), "ocr": (shown,), "all": (spoken, shown)}[self.value]


class SelectionMode(StrEnum):
    """How the run is chosen among the completed runs that have the artifact type."""

    DEFAULT = "default"
    """The stored policy for the asset and type; without one, the latest run."""
    LATEST = "latest"
    """The run that finished last."""
    PINNED = "pinned"
    """One run, or one artifact of it; nothing if it does not exist."""
    PROFILE = "profile"
    """The latest run with a model profile."""
    BEST_QUALITY = "best_quality"
    """The latest run of the best profile: `high_quality`, `balanced`, `fast`, then any other."""


class Cursor:
    """Encoding of the position of a query's next page: opaque to callers, safe in a URL."""

    MAX_LENGTH = 1000
    """Longest cursor that is read, in characters."""
    MAX_INT = 2**53
    """Greatest integer in a position."""

    @staticmethod
    def encode(query: object, position: list[object]) -> str:
        """Return the cursor of the results of `query` that follow `position`."""
        data = json.dumps([_query_hash(query), *position]).encode()
        return base64.urlsafe_b64encode(data).decode().rstrip("=")

    @staticmethod
    def after_page(
        found: Sequence[F], limit: int, query: object, position: Callable[[F], list[object]]
    ) -> str | None:
        """Return the cursor after the first `limit` results; None on the last page.

        `found`: up to `limit` + 1 results; `position`: function that returns the position of a
        result.
        """
        return Cursor.encode(query, position(found[limit - 1])) if len(found) > limit else None

    @staticmethod
    def decode(cursor: str, query: object, shape: tuple[type, ...]) -> list[Any]:
        """Return the position in a cursor; `shape`: the expected types of its values.

        Raises UsageError for an invalid cursor, or one of another query.
        """
        try:
            text = cursor[: Cursor.MAX_LENGTH]
            data = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
            query_hash, *position = data if isinstance(data, list) else [None]
        except (ValueError, RecursionError):
            query_hash, position = None, []
        is_valid = tuple(map(type, position)) == shape and query_hash == _query_hash(query)
        is_too_large = any(isinstance(n, int) and not 0 <= n <= Cursor.MAX_INT for n in position)
        if not is_valid or is_too_large:
            raise UsageError(
                "cursor is invalid for this query",
                expected="the next_cursor of the previous page of the same query",
                got=repr(cursor[:80]),
            )
        return position


def _query_hash(query: object) -> str:
    return digest_of(query)[-12:]
