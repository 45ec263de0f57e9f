"""A version of a type of artifact: its contract, and how its payloads become those of the next."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from filmgate.core.payloads.payload import Payload
from filmgate.core.payloads.projection import Projection

TYPE_NAME = r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*"

Lift = Callable[[dict[str, Any]], dict[str, Any]]
"""From a payload of one version to one of the next."""


@dataclass(frozen=True, kw_only=True)
class ArtifactType:
    """What packages offer under the entry point group `filmgate.artifact_types`."""

    name: str
    """Lower-case words with dots between them: `gesture.wave`."""
    version: int
    model: type[Payload]
    lift: Lift | None = None
    """Makes a payload of this version from one of the version before."""
    projections: tuple[Projection, ...] = ()
    """Tables of its own; those of the newest version count, and hold artifacts of all versions."""

    def __post_init__(self) -> None:
        if not re.fullmatch(TYPE_NAME, self.name):
            raise ValueError(f"an artifact type is called like 'gesture.wave', not {self.name!r}")
        if not 1 <= self.version < 2**15:
            raise ValueError(f"versions count from 1, got {self.version}")
        if not issubclass(self.model, Payload):
            raise TypeError(f"the model of {self.name} is no Payload: {self.model!r}")
        if strange := [p.name for p in self.projections if p.artifact_type != self.name]:
            raise ValueError(f"{', '.join(strange)}: projections of another type than {self.name}")
