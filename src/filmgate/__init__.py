"""Filmgate: media pipelines behind hard gates.

What a pipeline of one's own is written with; the names are loaded when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from filmgate.core.errors import FilmgateError, Invalid, NotFound, Unavailable
    from filmgate.core.files import (
        FileContract,
        artifacts,
        binary,
        document,
        parquet,
        records,
    )
    from filmgate.core.payloads.artifact_type import ArtifactType
    from filmgate.core.payloads.payload import Payload
    from filmgate.core.payloads.projection import Column, Projection
    from filmgate.core.pipeline import Admitted, Pipeline
    from filmgate.core.plan import Done, Outcome, Plan, Producer, Settings, Skipped, Stage, stage
    from filmgate.core.ports import Bench, Mapped, Timed

__all__ = [
    "Admitted",
    "ArtifactType",
    "Bench",
    "Column",
    "Done",
    "FileContract",
    "FilmgateError",
    "Invalid",
    "Mapped",
    "NotFound",
    "Outcome",
    "Payload",
    "Pipeline",
    "Plan",
    "Producer",
    "Projection",
    "Settings",
    "Skipped",
    "Stage",
    "Timed",
    "Unavailable",
    "artifacts",
    "binary",
    "document",
    "parquet",
    "records",
    "stage",
]

_HOMES = {
    "filmgate.core.errors": ("FilmgateError", "Invalid", "NotFound", "Unavailable"),
    "filmgate.core.files": (
        "FileContract",
        "artifacts",
        "binary",
        "document",
        "parquet",
        "records",
    ),
    "filmgate.core.payloads.artifact_type": ("ArtifactType",),
    "filmgate.core.payloads.payload": ("Payload",),
    "filmgate.core.payloads.projection": ("Column", "Projection"),
    "filmgate.core.pipeline": ("Admitted", "Pipeline"),
    "filmgate.core.plan": (
        "Done",
        "Outcome",
        "Plan",
        "Producer",
        "Settings",
        "Skipped",
        "Stage",
        "stage",
    ),
    "filmgate.core.ports": ("Bench", "Mapped", "Timed"),
}


def __getattr__(name: str) -> Any:
    """Load a public name, so that `import filmgate` alone costs nothing."""
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(home), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
