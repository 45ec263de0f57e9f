"""Media pipelines behind hard gates: the public names for writing a pipeline."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from filmgate.core.command import Answer, CommandLine, Parameters, Printer
    from filmgate.core.database import ReadSession, WriteSession
    from filmgate.core.errors import FilmgateError, Invalid, NotFound, Unavailable
    from filmgate.core.files import FileContract, artifacts, binary, document, parquet, records
    from filmgate.core.payloads.artifact_type import ArtifactType
    from filmgate.core.payloads.payload import Payload
    from filmgate.core.payloads.projection import Column, Projection
    from filmgate.core.pipeline import (
        Input,
        InputContext,
        InputFiles,
        InputKind,
        NextSteps,
        Options,
        Pipeline,
        Sample,
        SampleRun,
        Sets,
        Step,
    )
    from filmgate.core.plan import (
        Done,
        Outcome,
        Plan,
        Producer,
        Settings,
        SkipCause,
        Skipped,
        Stage,
        stage,
    )
    from filmgate.core.ports import Mapped, StageContext, Timed
    from filmgate.core.query import Action, ActionContext, Query, QueryContext
    from filmgate.core.summaries import FinishedRun, Summary

__all__ = [
    "Action",
    "ActionContext",
    "Answer",
    "ArtifactType",
    "Column",
    "CommandLine",
    "Done",
    "FileContract",
    "FilmgateError",
    "FinishedRun",
    "Input",
    "InputContext",
    "InputFiles",
    "InputKind",
    "Invalid",
    "Mapped",
    "NextSteps",
    "NotFound",
    "Options",
    "Outcome",
    "Parameters",
    "Payload",
    "Pipeline",
    "Plan",
    "Printer",
    "Producer",
    "Projection",
    "Query",
    "QueryContext",
    "ReadSession",
    "Sample",
    "SampleRun",
    "Sets",
    "Settings",
    "SkipCause",
    "Skipped",
    "Stage",
    "StageContext",
    "Step",
    "Summary",
    "Timed",
    "Unavailable",
    "WriteSession",
    "artifacts",
    "binary",
    "document",
    "parquet",
    "records",
    "stage",
]

_HOMES = {
    "filmgate.core.command": (
        "Answer",
        "CommandLine",
        "Parameters",
        "Printer",
    ),
    "filmgate.core.database": ("ReadSession", "WriteSession"),
    "filmgate.core.errors": (
        "FilmgateError",
        "Invalid",
        "NotFound",
        "Unavailable",
    ),
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
    "filmgate.core.payloads.projection": (
        "Column",
        "Projection",
    ),
    "filmgate.core.pipeline": (
        "Input",
        "InputContext",
        "InputFiles",
        "InputKind",
        "NextSteps",
        "Options",
        "Pipeline",
        "Sample",
        "SampleRun",
        "Sets",
        "Step",
    ),
    "filmgate.core.plan": (
        "Done",
        "Outcome",
        "Plan",
        "Producer",
        "Settings",
        "SkipCause",
        "Skipped",
        "Stage",
        "stage",
    ),
    "filmgate.core.ports": (
        "Mapped",
        "StageContext",
        "Timed",
    ),
    "filmgate.core.query": (
        "Action",
        "ActionContext",
        "Query",
        "QueryContext",
    ),
    "filmgate.core.summaries": (
        "FinishedRun",
        "Summary",
    ),
}


_FORMER_NAMES = {"Admitted": "InputFiles", "Bench": "StageContext"}
"""Names of version 0.1.0, deprecated: still importable, and to be removed in version 1."""


def __getattr__(name: str) -> object:
    """Load a public name, so that `import filmgate` alone costs nothing."""
    name = _FORMER_NAMES.get(name, name)
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(home), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
