"""Pipelines: a plan, the input that it takes and its profiles."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from filmgate.core.database import ReadSession
from filmgate.core.errors import ExitCode, Invalid, first_fault, similar_names
from filmgate.core.ids import Layout
from filmgate.core.plan import Plan, Stage
from filmgate.core.records import RunHead
from filmgate.core.summaries import Summary

DEFAULT_PROFILE = "balanced"


class InputKind(StrEnum):
    """What a pipeline takes as its input."""

    FILE = "file"
    """One file, with its side-car files; it may be an uploaded one."""
    FOLDER = "folder"
    """A folder of files, or one file of a collection."""
    LIST = "list"
    """A file that lists the items."""


SnapshotReader = Callable[[ReadSession, RunHead], bytes | None]
"""Reads data of the database for a run; None if there are none. The bytes become a snapshot."""


@dataclass(frozen=True, kw_only=True)
class InputFiles:
    """An input that a pipeline has accepted."""

    files: Mapping[str, Path]
    """Files by name: the asset first, then its side-car files."""
    media: Mapping[str, Any] = field(default_factory=dict)
    """Facts about the asset that are known before any stage; stored in the manifest."""
    is_collection: bool = False
    """Whether the asset consists of all files; otherwise it is only the first file."""


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """A pipeline that `filmgate run NAME` runs."""

    plan: Plan
    inputs: InputKind = InputKind.FILE
    admit: Callable[[Path], InputFiles] | None = None
    """Function that checks an input before a run is created; it raises Invalid or NotFound for an
    unusable input. Without this function, any single file is accepted."""
    profiles: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(
        default_factory=lambda: {DEFAULT_PROFILE: {}}
    )
    """Settings of each profile that differ from the stages' defaults, by stage and setting."""

    layout: Layout = Layout.RUN
    items_apart: bool = False
    """Whether items are processed in separate processes even with one worker, because a hostile
    item may crash the process that reads it."""
    summaries: tuple[Summary, ...] = ()
    """Rows that the ingest of a run writes to tables of the pipeline."""
    snapshots: Mapping[str, SnapshotReader] = field(default_factory=dict)
    """Data of the database that stages read as a resource, by the name of the resource."""
    migrations: str | None = None
    """Folder of Alembic revisions for tables of the pipeline, as `package:folder`. Their branch has
    the name of the pipeline, and they are applied after those of the platform."""
    refused: ExitCode = ExitCode.DONE
    """Exit code of a run that succeeded although a stage left out bad items."""

    def __post_init__(self) -> None:
        unknown = {stage for values in self.profiles.values() for stage in values}
        if unknown := unknown - set(self.plan.names):
            raise ValueError(
                f"profiles of {self.plan.pipeline!r} have unknown stages: {', '.join(unknown)}"
            )

    def resolve(self, profile: str, overrides: Iterable[str] = ()) -> dict[str, Any]:
        """Resolve the config of every stage from a profile and `STAGE.SETTING=VALUE` overrides.

        Raises Invalid for an unknown profile or setting, or a value of the wrong type; UsageError
        for an unknown stage.
        """
        if profile not in self.profiles:
            known = ", ".join(self.profiles)
            raise Invalid(
                f"profile {profile!r} does not exist", expected=f"one of {known}", got=repr(profile)
            )
        chosen = {stage: dict(values) for stage, values in self.profiles[profile].items()}
        for override in overrides:
            stage, setting, value = self._parse(override)
            chosen.setdefault(stage, {})[setting] = value
        try:
            return self.plan.config(chosen)
        except ValidationError as error:
            broken = next(s for s in self.plan.stages if s.settings.__name__ == error.title)
            raise Invalid(
                "setting is invalid",
                expected=f"one of {_settings_text(broken)}, with a value of its type",
                got=first_fault(error),
                hint=f"For types and ranges: filmgate settings {self.plan.pipeline} {broken.name}",
            ) from error

    def _parse(self, override: str) -> tuple[str, str, Any]:
        name, equals, value = override.partition("=")
        stage, dot, setting = name.partition(".")
        if not (equals and dot and setting):
            raise Invalid(
                "setting is invalid",
                expected=f"STAGE.SETTING=VALUE, such as {self.plan.names[0]}.enabled=false",
                got=repr(override),
            )
        found, setting = self.plan.find_stage(stage.strip()), setting.strip()
        if setting not in found.settings.model_fields:
            similar = similar_names(setting, list(found.settings.model_fields))
            raise Invalid(
                f"stage {found.name} has no setting {setting!r}",
                expected=f"one of {_settings_text(found)}",
                hint=f"Did you mean {found.name}.{similar[0]}?" if similar else None,
            )
        return found.name, setting, _parse_value(value.strip())


def _settings_text(stage: Stage) -> str:
    return ", ".join(f"{stage.name}.{name}" for name in stage.settings.model_fields)


def _parse_value(text: str) -> Any:
    """Parse a list, object, quoted text or null as JSON; return other text as it is.

    Other text is parsed later, according to the type of the setting.
    """
    if text[:1] in {"[", "{", '"'} or text == "null":
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text
