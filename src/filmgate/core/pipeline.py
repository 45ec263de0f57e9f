"""The descriptor of a pipeline: all that the platform knows of it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from pydantic import ValidationError

from filmgate.core.command import CommandLine, Parameters
from filmgate.core.database import ReadSession
from filmgate.core.digest import JsonObject, JsonValue
from filmgate.core.errors import ExitCode, Invalid, first_fault, similar_names
from filmgate.core.ids import Layout
from filmgate.core.manifest import Manifest
from filmgate.core.objects import OpenStore
from filmgate.core.people import FaceClusters
from filmgate.core.plan import Plan, Stage
from filmgate.core.progress import ProgressCallback
from filmgate.core.query import AnyAction, AnyQuery
from filmgate.core.records import RunHead
from filmgate.core.run_request import DEFAULT_PROFILE, RunRequest
from filmgate.core.summaries import FinishedRun, Summary


class InputKind(StrEnum):
    """What the input of a pipeline is."""

    FILE = "file"
    """One file, with its side-car files; it may be an uploaded one."""
    FOLDER = "folder"
    """A folder of files, or one file of a collection."""
    LIST = "list"
    """A file that lists the items."""


@dataclass(frozen=True)
class Sets:
    """Metadata of a field of `Options`: the stage settings, `STAGE.SETTING`, that it sets."""

    names: tuple[str, ...]


class Options(Parameters):
    """Base of the options of a pipeline: the few settings that users change most often.

    A field that is None was not given. From the fields derive options of `filmgate run NAME` and
    `filmgate plan NAME`, the object `options` of a job, and a part of `filmgate settings NAME`.
    """

    def stage_settings(self) -> JsonObject:
        """Return the stage settings that the options set, by `STAGE.SETTING`."""
        found: dict[str, JsonValue] = {}
        values = self.model_dump(mode="json")
        for name, info in type(self).model_fields.items():
            for sets in (each for each in info.metadata if isinstance(each, Sets)):
                found |= dict.fromkeys(sets.names, values[name]) if values[name] is not None else {}
        return found


class InputContext(Protocol):
    """What the choice of a default input may use."""

    @property
    def home(self) -> Path:
        """Folder of runs and of what Filmgate keeps."""

    @property
    def open_store(self) -> OpenStore:
        """Function that opens stores."""


NOTHING: Mapping[str, object] = MappingProxyType({})
ONE_ARGUMENT = CommandLine(is_argument=True, metavar="INPUT", help="The input file.")


@dataclass(frozen=True, kw_only=True)
class Input:
    """The input of a pipeline, and how the command line takes it."""

    kind: InputKind = InputKind.FILE
    what: str = "a file on this machine"
    """Phrase for messages: what the input is."""
    line: CommandLine = ONE_ARGUMENT
    takes_uploads: bool = False
    """Whether an upload over HTTP that `Pipeline.admit` accepts is stored. A job of any pipeline of
    kind FILE may read a stored one."""
    default: Callable[..., Path] | None = None
    """Returns the input of a run for which none was given, from the options of the pipeline and
    the context. Raises NotFound if there is none."""

    @property
    def is_required(self) -> bool:
        """Whether a command line without an input is invalid."""
        return self.line.is_argument and self.default is None


@dataclass(frozen=True, kw_only=True)
class NextSteps:
    """What is known when the next steps after a run are shown."""

    manifest: Manifest
    folder: Path
    ingested: Mapping[str, int] | None
    """Numbers of ingested artifacts and rows by name; None if the run did not succeed or was not
    ingested."""


SnapshotReader = Callable[[ReadSession, RunHead], bytes | None]
"""Reads data of the database for a run; None if there are none. The bytes become a snapshot."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """A question or an action that a demo shows after its run."""

    command: str
    """The command line, as the reader would type it."""
    name: str
    """Name of the query or the action."""
    parameters: Mapping[str, object]
    """Values of its parameters."""


@dataclass(frozen=True, kw_only=True)
class SampleRun:
    """The finished run of a sample."""

    manifest: Manifest
    source: Path
    """The input."""
    folder: Path
    """The run's folder."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A built-in input, on which `filmgate demo NAME` shows what the pipeline does."""

    what: str
    """Phrase for the help, such as `a film with people`."""
    make: Callable[[Path, ProgressCallback], Path]
    """Makes the input in a folder that exists, unless it is there; returns its path. The second
    argument is called with the work done and the total."""
    options: Callable[[Path], Options] = field(default=lambda _source: Options())
    """Returns the options of the pipeline for the input."""
    workers: int = 1
    steps: Callable[[SampleRun], Iterable[Step]] = field(default=lambda _run: ())
    """Returns what to show after a run whose results were ingested."""
    closing: Callable[[SampleRun], Iterable[tuple[str, str]]] = field(default=lambda _run: ())
    """Returns what to try next: each a label and a command line or a path."""


@dataclass(frozen=True, kw_only=True)
class InputFiles:
    """An input that a pipeline has accepted."""

    files: Mapping[str, Path]
    """Files by name: the asset first, then its side-car files."""
    media: Mapping[str, object] = field(default_factory=dict)
    """Facts about the asset that are known before any stage; stored in the manifest."""
    is_collection: bool = False
    """Whether the asset consists of all files; otherwise it is only the first file."""


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """A pipeline that `filmgate run NAME` runs."""

    plan: Plan
    inputs: Input = field(default_factory=Input)
    options: type[Options] = Options
    """The options of the pipeline, beside the settings of its stages."""
    admit: Callable[[Path], InputFiles] | None = None
    """Function that checks an input before a run is created; it raises Invalid or NotFound for an
    unusable input. Without this function, any single file is accepted."""
    profiles: Mapping[str, Mapping[str, Mapping[str, object]]] = field(
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
    queries: tuple[AnyQuery, ...] = ()
    """Questions to the database about what the pipeline made."""
    actions: tuple[AnyAction, ...] = ()
    """Commands of the pipeline's own that change or write something."""
    sample: Sample | None = None
    report: str | None = None
    """Path of the file that is a run's report for people."""
    next_steps: Callable[[NextSteps], Iterable[str]] = field(default=lambda _run: ())
    """Returns command lines for a user to try after a run."""
    face_clusters: Callable[[FinishedRun], FaceClusters] | None = None
    """Reads the clusters of faces of a run, which a user can name after people. Raises NotFound if
    the run has none."""
    made_legacy_runs: bool = False
    """Whether the runs of older layouts are of this pipeline; the aliases of its stages are then
    the names that those layouts use."""

    def __post_init__(self) -> None:
        unknown = {stage for values in self.profiles.values() for stage in values}
        if unknown := unknown - set(self.plan.names):
            raise ValueError(
                f"profiles of {self.plan.pipeline!r} have unknown stages: {', '.join(unknown)}"
            )
        if taken := self.options.model_fields.keys() & RunRequest.model_fields.keys():
            raise ValueError(
                f"options of {self.plan.pipeline!r} have the names of options of every run: "
                f"{', '.join(sorted(taken))}"
            )

    def resolve(
        self, profile: str, overrides: Mapping[str, object] = NOTHING
    ) -> dict[str, dict[str, object]]:
        """Resolve the config of every stage from a profile and values by `STAGE.SETTING`.

        Raises Invalid for an unknown profile or setting, or a value of the wrong type; UsageError
        for an unknown stage.
        """
        if profile not in self.profiles:
            known = ", ".join(self.profiles)
            raise Invalid(
                f"profile {profile!r} does not exist", expected=f"one of {known}", got=repr(profile)
            )
        chosen = {stage: dict(values) for stage, values in self.profiles[profile].items()}
        for name, value in overrides.items():
            stage, setting = self.find_setting(name)
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

    def find_setting(self, name: str) -> tuple[str, str]:
        """Return the names of the stage and the setting that a text `STAGE.SETTING` names.

        Raises Invalid for an unknown setting, UsageError for an unknown stage.
        """
        stage, dot, setting = name.partition(".")
        if not (dot and setting):
            raise Invalid(
                "setting is invalid",
                expected=f"STAGE.SETTING, such as {self.plan.names[0]}.enabled",
                got=repr(name),
            )
        found, setting = self.plan.find_stage(stage.strip()), setting.strip()
        if setting not in found.settings.model_fields:
            similar = similar_names(setting, list(found.settings.model_fields))
            raise Invalid(
                f"stage {found.name} has no setting {setting!r}",
                expected=f"one of {_settings_text(found)}",
                hint=f"Did you mean {found.name}.{similar[0]}?" if similar else None,
            )
        return found.name, setting


def _settings_text(stage: Stage) -> str:
    return ", ".join(f"{stage.name}.{name}" for name in stage.settings.model_fields)
