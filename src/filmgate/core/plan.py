"""Plans: the stages of a pipeline, their dependencies and the files that they make."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

from pydantic import BaseModel, ConfigDict

from filmgate.core.digest import JsonObject
from filmgate.core.errors import unknown_name
from filmgate.core.files import FileContract
from filmgate.core.ids import StageName


class Settings(BaseModel):
    """Base of the resolved settings of one stage: frozen, without undeclared fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)

    enabled: bool = True
    """Whether the stage runs; a disabled stage is skipped, and stages that use it still run."""


@dataclass(frozen=True)
class Place:
    """Metadata of a setting that names a file, a folder or an object store.

    In a job, such a setting must be an `s3://` address, or an absolute path that the service
    permits.
    """


class Producer(BaseModel):
    """A program or model that made a result: name, version, and digest of its weights if any."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    name: str
    version: str
    weights_sha256: str | None = None


@dataclass(frozen=True, kw_only=True)
class Done:
    """Outcome of a stage that made its files."""

    producer: Producer
    counts: Mapping[str, int] = field(default_factory=dict)
    metrics: JsonObject = field(default_factory=dict)


class SkipCause(StrEnum):
    """Why a stage was skipped, for decisions; `Skipped.reason` says it to people."""

    DISABLED = "disabled"
    """The stage's setting `enabled` is false. Only the engine uses this cause."""
    UPSTREAM_SKIPPED = "upstream_skipped"
    """A stage that it requires was skipped. Only the engine uses this cause."""
    NO_INPUT = "no_input"
    """The asset does not contain what the stage works on."""
    NO_PROVIDER = "no_provider"
    """No model or program that the stage could use is available."""
    UNSPECIFIED = "unspecified"
    """The stage did not state a cause."""


@dataclass(frozen=True)
class Skipped:
    """Outcome of a stage that lacks its input or its provider."""

    reason: str
    cause: SkipCause = field(default=SkipCause.UNSPECIFIED, kw_only=True)


Outcome = Done | Skipped


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One step of a pipeline."""

    name: StageName
    work: Callable[..., Outcome]
    """Function that is called with a `StageContext` and the stage's settings."""
    settings: type[Settings]
    makes: tuple[FileContract, ...]
    requires: tuple[str, ...]
    """Stages that must be SUCCESS. If one is SKIPPED, this stage is skipped too."""
    uses: tuple[str, ...]
    """Stages whose files are verified and read if they are SUCCESS; they may also be SKIPPED."""
    uses_if_run: tuple[str, ...]
    """Stages whose files are verified and read if they are SUCCESS; they may be in any other state,
    too. Once such a stage succeeds, this stage is due again."""
    aliases: tuple[str, ...]
    """Former names of the stage, which are still accepted."""
    tools: tuple[str, ...]
    """Installed distributions whose versions the result depends on."""
    optional_tools: tuple[str, ...]
    """Optional distributions; their versions are part of the fingerprint if installed."""
    reads_upstream_records: bool
    """Whether the result shows the outcomes of the stages that it depends on: producer, counts and
    warnings. Their records, without times and ids, are then part of the fingerprint."""
    reads_resources: tuple[str, ...]
    """Optional resources outside the run that the stage reads, such as weights or known people."""
    version: int
    """Version of the stage; raise it whenever the same input and settings give another result."""

    @property
    def depends_on(self) -> tuple[str, ...]:
        """All stages whose files this one may read."""
        return self.needs + self.uses_if_run

    @property
    def needs(self) -> tuple[str, ...]:
        """Stages that must be SUCCESS or SKIPPED before this one may run."""
        return self.requires + self.uses


def stage(
    *,
    name: str | None = None,
    makes: Iterable[FileContract] = (),
    requires: Iterable[str] = (),
    uses: Iterable[str] = (),
    uses_if_run: Iterable[str] = (),
    settings: type[Settings] = Settings,
    aliases: Iterable[str] = (),
    tools: Iterable[str] = (),
    optional_tools: Iterable[str] = (),
    reads_resources: Iterable[str] = (),
    reads_upstream_records: bool = False,
    version: int = 1,
    welcomes: Iterable[str] = (),
    consults: Iterable[str] = (),
    tells: bool = False,
) -> Callable[[Callable[..., Outcome]], Stage]:
    """Declare a function (context, settings) → Outcome as a stage.

    `name`: name of the stage; by default that of the function. The other parameters are those of
    `Stage`. `welcomes`, `consults` and `tells` are the names that version 0.1.0 had for
    `uses_if_run`, `reads_resources` and `reads_upstream_records`; they are deprecated.
    """

    def declare(work: Callable[..., Outcome]) -> Stage:
        return Stage(
            name=StageName(name or work.__name__),
            work=work,
            settings=settings,
            makes=tuple(makes),
            requires=tuple(requires),
            uses=tuple(uses),
            uses_if_run=(*uses_if_run, *welcomes),
            aliases=tuple(aliases),
            tools=tuple(tools),
            optional_tools=tuple(optional_tools),
            reads_resources=(*reads_resources, *consults),
            reads_upstream_records=reads_upstream_records or tells,
            version=version,
        )

    return declare


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The stages of one pipeline in canonical order: each after the stages that it depends on."""

    pipeline: str
    stages: tuple[Stage, ...]
    packages: str | None = None
    """Requirement with which pip installs all tools of the stages, such as `filmgate[NAME]`."""

    def __post_init__(self) -> None:
        if not self.stages:
            raise ValueError(f"plan {self.pipeline!r} has no stages")
        names: set[str] = set()
        aliases: set[str] = set()
        made: list[FileContract] = []
        for stage in self.stages:
            if not re.fullmatch(_STAGE_NAME, stage.name):
                raise ValueError(f"stage name {stage.name!r} is invalid: expected {_NAME_RULE}")
            if missing := [name for name in stage.depends_on if name not in names]:
                raise ValueError(
                    f"stage {stage.name!r} depends on {', '.join(missing)}: expected only "
                    f"earlier stages of the plan: {', '.join(sorted(names)) or 'none'}"
                )
            if twice := (names | aliases) & {stage.name, *stage.aliases}:
                taken = ", ".join(sorted(twice))
                raise ValueError(f"stage {stage.name!r}: the name {taken} is already used")
            for contract in stage.makes:
                _check_file(stage.name, contract, made)
                made.append(contract)
            names.add(stage.name)
            aliases |= set(stage.aliases)

    @property
    def names(self) -> tuple[StageName, ...]:
        """Names of the stages, in canonical order."""
        return tuple(stage.name for stage in self.stages)

    @property
    def depends_on(self) -> dict[str, tuple[str, ...]]:
        """For each stage, the stages whose files it may read."""
        return {stage.name: stage.depends_on for stage in self.stages}

    @property
    def reads_resources(self) -> frozenset[str]:
        """All optional resources that the stages read."""
        return frozenset(name for stage in self.stages for name in stage.reads_resources)

    @property
    def makes(self) -> dict[str, tuple[str, ...]]:
        """For each stage, the paths of the files that it makes."""
        return {stage.name: tuple(made.path for made in stage.makes) for stage in self.stages}

    @cached_property
    def contracts(self) -> dict[str, FileContract]:
        """Contracts of all files of the plan, by path."""
        return {made.path: made for stage in self.stages for made in stage.makes}

    @cached_property
    def supported(self) -> Mapping[str, Mapping[str, int]]:
        """For each stage, the schema version that this plan reads of each file, by path."""
        return {
            stage.name: {made.path: made.schema_version for made in stage.makes}
            for stage in self.stages
        }

    @property
    def former_names(self) -> Mapping[str, str]:
        """Name of each stage by its aliases."""
        return {alias: stage.name for stage in self.stages for alias in stage.aliases}

    def find_stage(self, name: str) -> Stage:
        """Return the stage with a name or alias.

        Raises UsageError, which suggests similar names, if there is none.
        """
        if (found := self._by_name.get(name)) is not None:
            return found
        raise unknown_name(f"{self.pipeline} stage", name, self.names)

    def ancestors(self, name: str) -> frozenset[str]:
        """Return the names of all stages that a stage depends on, directly or indirectly."""
        return self._ancestors[self.find_stage(name).name]

    @cached_property
    def _by_name(self) -> Mapping[str, Stage]:
        aliases = {alias: stage for stage in self.stages for alias in stage.aliases}
        return aliases | {stage.name: stage for stage in self.stages}

    @cached_property
    def _ancestors(self) -> Mapping[str, frozenset[str]]:
        found: dict[str, frozenset[str]] = {}
        for stage in self.stages:
            found[stage.name] = frozenset(stage.depends_on).union(
                *(found[name] for name in stage.depends_on)
            )
        return found

    def select(self, names: Iterable[str]) -> frozenset[StageName]:
        """Return the names of the selected stages; all stages if `names` is empty."""
        selected = frozenset(self.find_stage(name).name for name in names)
        return selected or frozenset(self.names)

    def from_stage(self, name: str) -> frozenset[StageName]:
        """Return the names of a stage and of all stages after it."""
        return frozenset(self.names[self.names.index(self.find_stage(name).name) :])

    def config(self, overrides: Mapping[str, Mapping[str, object]]) -> dict[str, dict[str, object]]:
        """Resolve the settings of every stage, as JSON values by stage.

        `overrides`: values by stage and setting. Raises pydantic.ValidationError if one is invalid.
        """
        return {
            stage.name: stage.settings(**overrides.get(stage.name, {})).model_dump(mode="json")
            for stage in self.stages
        }


_STAGE_NAME = r"[A-Za-z][A-Za-z0-9_-]{0,63}"
_NAME_RULE = "a letter, then up to 63 letters, digits, underscores or hyphens"
_RESERVED_NAMES = frozenset(
    {
        "commits",
        "attempts",
        "logs",
        "run.json",
        "manifest.json",
        "status.json",
        "verdicts.json",
        "lease.json",
        "lease.lock",
        "seal.json",
    }
)
"""Names in a run's folder that are reserved for the engine."""


def _check_file(stage: str, contract: FileContract, others: Iterable[FileContract]) -> None:
    """Raise ValueError if a file's path is invalid or conflicts with that of another file."""
    path = contract.path
    parts = path.split("/")
    is_plain = all(part and part[0] != "." and "\0" not in part for part in parts)
    if not is_plain or len(path.encode()) > MAX_PATH_BYTES:
        raise ValueError(
            f"path {path!r} of stage {stage!r} is invalid: expected a relative path of at most "
            f"{MAX_PATH_BYTES} bytes, no part of which starts with a dot"
        )
    if parts[0] in _RESERVED_NAMES:
        raise ValueError(f"path {path!r} of stage {stage!r} is reserved for the engine")
    folded = path.casefold()
    for other in others:
        other_folded = other.path.casefold()
        is_inside = folded.startswith(f"{other_folded}/") or other_folded.startswith(f"{folded}/")
        if is_inside or folded == other_folded:
            raise ValueError(
                f"path {path!r} of stage {stage!r} conflicts with {other.path!r}, which is already "
                "declared in the plan"
            )
        if contract.artifact_type is not None and contract.artifact_type == other.artifact_type:
            raise ValueError(
                f"artifact type {contract.artifact_type!r} of {path!r} in stage {stage!r} is "
                f"already used for {other.path!r}"
            )
        if contract.key == other.key:
            raise ValueError(
                f"key {contract.key!r} of {path!r} in stage {stage!r} is already used for "
                f"{other.path!r}: set another key"
            )


MAX_PATH_BYTES = 60
"""Maximum length of the path of a file, in bytes. Percent-encoded and with the stage's name, such a
path still fits in one file name in `attempts/`."""
