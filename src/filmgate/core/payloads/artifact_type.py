"""Artifact types: the contract of one version, and the upgrade from the previous version."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from filmgate.core.digest import JsonDict
from filmgate.core.payloads.payload import Payload
from filmgate.core.payloads.projection import Projection

TYPE_NAME = r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*"

Lift = Callable[[JsonDict], JsonDict]
"""Function that upgrades a payload of one version to the next version."""


@dataclass(frozen=True, kw_only=True)
class ArtifactType:
    """One version of an artifact type.

    Packages register it in the entry point group `filmgate.artifact_types`.
    """

    name: str
    """Lower-case words separated by dots: `gesture.wave`."""
    version: int
    model: type[Payload]
    lift: Lift | None = None
    """Function that upgrades a payload of the previous version to this version."""
    projections: tuple[Projection, ...] = ()
    """Projections of the type. Those of the newest version are used, for artifacts of all
    versions."""

    def __post_init__(self) -> None:
        if not re.fullmatch(TYPE_NAME, self.name):
            raise ValueError(
                f"artifact type {self.name!r} is invalid: expected a name such as 'gesture.wave'"
            )
        if not 1 <= self.version < 2**15:
            raise ValueError(f"version is invalid: expected 1 to {2**15 - 1}, got {self.version}")
        if not issubclass(self.model, Payload):
            raise TypeError(f"model of {self.name} is not a subclass of Payload: {self.model!r}")
        if foreign := [p.name for p in self.projections if p.artifact_type != self.name]:
            raise ValueError(
                f"projections of {self.name} have another artifact type: {', '.join(foreign)}"
            )
