"""A plan: which stages a pipeline has, what each stands on and what it makes."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from pydantic import BaseModel, ConfigDict

from filmgate.core.errors import Invalid
from filmgate.core.files import FileContract
from filmgate.core.ids import StageName


class Settings(BaseModel):
    """The resolved settings of one stage: frozen, nothing undeclared."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)

    enabled: bool = True
    """A stage that is switched off is skipped, and what merely uses it goes on."""


class Producer(BaseModel):
    """Who made something: a program or model, its version, and its weights where it has any."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    name: str
    version: str
    weights_sha256: str | None = None


@dataclass(frozen=True, kw_only=True)
class Done:
    """The stage did its work."""

    producer: Producer
    counts: Mapping[str, int] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Skipped:
    """There is nothing for the stage to work on, or nothing to do it with."""

    reason: str


Outcome = Done | Skipped


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One step of a pipeline."""

    name: StageName
    work: Callable[[Any, Any], Outcome]
    """Called with a `Bench` and the stage's settings."""
    settings: type[Settings]
    makes: tuple[FileContract, ...]
    requires: tuple[str, ...]
    """Stages that must be SUCCESS. Where one is SKIPPED, so is this one."""
    uses: tuple[str, ...]
    """Stages whose files are verified and read when SUCCESS, and done without when SKIPPED."""
    welcomes: tuple[str, ...]
    """Stages whose files are verified and read when SUCCESS, and done without otherwise: also
    where they did not run. This one is due again once they did."""
    aliases: tuple[str, ...]
    """Names that it went by before, still understood."""
    tools: tuple[str, ...]
    """Installed distributions whose versions the result depends on."""
    optional_tools: tuple[str, ...]
    """Distributions likewise that it works without: their versions count where they are there."""
    tells: bool
    """Whether its result tells how the stages that it stands on ended: by whom, with what counts
    and warnings. Their records, but for clocks and ids, are then part of its fingerprint."""
    consults: tuple[str, ...]
    """Resources outside the run that it reads where they are there: weights, known people."""
    version: int
    """Raised by hand whenever the same input and settings come out differently."""

    @property
    def stands_on(self) -> tuple[str, ...]:
        """Every stage whose files this one may read."""
        return self.needs + self.welcomes

    @property
    def needs(self) -> tuple[str, ...]:
        """Every stage that must have ended well, or been skipped, before this one may run."""
        return self.requires + self.uses


def stage(
    *,
    makes: Iterable[FileContract] = (),
    requires: Iterable[str] = (),
    uses: Iterable[str] = (),
    welcomes: Iterable[str] = (),
    settings: type[Settings] = Settings,
    aliases: Iterable[str] = (),
    tools: Iterable[str] = (),
    optional_tools: Iterable[str] = (),
    consults: Iterable[str] = (),
    tells: bool = False,
    version: int = 1,
) -> Callable[[Callable[[Any, Any], Outcome]], Stage]:
    """Make a stage of a function (bench, settings) → Outcome; the function's name is its name."""

    def declare(work: Callable[[Any, Any], Outcome]) -> Stage:
        return Stage(
            name=StageName(work.__name__),
            work=work,
            settings=settings,
            makes=tuple(makes),
            requires=tuple(requires),
            uses=tuple(uses),
            welcomes=tuple(welcomes),
            aliases=tuple(aliases),
            tools=tuple(tools),
            optional_tools=tuple(optional_tools),
            consults=tuple(consults),
            tells=tells,
            version=version,
        )

    return declare


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The stages of one pipeline in their canonical order: each after what it stands on."""

    pipeline: str
    stages: tuple[Stage, ...]
    packages: str | None = None
    """What pip installs to bring all tools of its stages, such as `filmgate[episode]`."""

    def __post_init__(self) -> None:
        if not self.stages:
            raise ValueError(f"plan {self.pipeline!r} has no stage")
        names: set[str] = set()
        aliases: set[str] = set()
        made: list[FileContract] = []
        for each in self.stages:
            if not re.fullmatch(_STAGE_NAME, each.name):
                raise ValueError(f"{each.name!r} is no name for a stage: expected {_NAME_RULE}")
            if missing := [name for name in each.stands_on if name not in names]:
                raise ValueError(
                    f"stage {each.name!r} stands on {', '.join(missing)}: expected stages that "
                    f"come before it, one of {', '.join(sorted(names)) or 'none'}"
                )
            if twice := (names | aliases) & {each.name, *each.aliases}:
                raise ValueError(f"stage {each.name!r}: {', '.join(sorted(twice))} stands twice")
            for contract in each.makes:
                _check_file(each.name, contract, made)
                made.append(contract)
            names.add(each.name)
            aliases |= set(each.aliases)

    @property
    def names(self) -> tuple[StageName, ...]:
        """The names of its stages, in order."""
        return tuple(each.name for each in self.stages)

    @property
    def stands_on(self) -> dict[str, tuple[str, ...]]:
        """For each stage, those whose files it may read."""
        return {each.name: each.stands_on for each in self.stages}

    @property
    def consults(self) -> frozenset[str]:
        """Every resource that some stage of it reads where it is there."""
        return frozenset(name for each in self.stages for name in each.consults)

    @property
    def makes(self) -> dict[str, tuple[str, ...]]:
        """For each stage, the paths of its files."""
        return {each.name: tuple(made.path for made in each.makes) for each in self.stages}

    @cached_property
    def contracts(self) -> dict[str, FileContract]:
        """Every file of the plan, by path."""
        return {made.path: made for each in self.stages for made in each.makes}

    @cached_property
    def supported(self) -> Mapping[str, Mapping[str, int]]:
        """For each stage, the schema version of each of its files that the plan reads, by path."""
        return {
            each.name: {made.path: made.schema_version for made in each.makes}
            for each in self.stages
        }

    def named(self, name: str) -> Stage:
        """The stage of that name, now or before, or Invalid saying which there are."""
        if (found := self._by_name.get(name)) is not None:
            return found
        raise Invalid(
            f"no stage {name!r} in pipeline {self.pipeline!r}",
            expected=f"one of {', '.join(self.names)}",
            got=repr(name),
        )

    def ancestors(self, name: str) -> frozenset[str]:
        """Every stage that the named one stands on, near or far."""
        return self._ancestors[self.named(name).name]

    @cached_property
    def _by_name(self) -> Mapping[str, Stage]:
        aliases = {alias: each for each in self.stages for alias in each.aliases}
        return aliases | {each.name: each for each in self.stages}

    @cached_property
    def _ancestors(self) -> Mapping[str, frozenset[str]]:
        found: dict[str, frozenset[str]] = {}
        for each in self.stages:
            found[each.name] = frozenset(each.stands_on).union(
                *(found[name] for name in each.stands_on)
            )
        return found

    def select(self, names: Iterable[str]) -> frozenset[StageName]:
        """The stages asked for by name; all of them where none is."""
        chosen = frozenset(self.named(name).name for name in names)
        return chosen or frozenset(self.names)

    def from_stage(self, name: str) -> frozenset[StageName]:
        """A stage and all that come after it."""
        return frozenset(self.names[self.names.index(self.named(name).name) :])

    def config(self, overrides: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """The resolved settings of every stage, as JSON values."""
        return {
            each.name: each.settings(**overrides.get(each.name, {})).model_dump(mode="json")
            for each in self.stages
        }


_STAGE_NAME = r"[A-Za-z][A-Za-z0-9_-]{0,63}"
_NAME_RULE = "a letter, then up to 63 letters, digits, underscores or hyphens"
_OURS = frozenset(
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
"""What the engine keeps in a run's folder."""


def _check_file(stage: str, contract: FileContract, others: Iterable[FileContract]) -> None:
    """Raise ValueError for a file that no run may have."""
    path = contract.path
    parts = path.split("/")
    is_plain = all(part and part[0] != "." and "\0" not in part for part in parts)
    if not is_plain or len(path.encode()) > MAX_PATH_BYTES:
        raise ValueError(
            f"stage {stage!r} makes {path!r}: expected a relative path, without dots in front of "
            f"its parts, of at most {MAX_PATH_BYTES} bytes"
        )
    if parts[0] in _OURS:
        raise ValueError(f"stage {stage!r} makes {path!r}, which is the engine's own")
    mine = path.casefold()
    for other in others:
        theirs = other.path.casefold()
        is_inside = mine.startswith(f"{theirs}/") or theirs.startswith(f"{mine}/")
        if is_inside or mine == theirs:
            raise ValueError(f"stage {stage!r} makes {path!r}, and {other.path!r} is made already")
        if contract.artifact_type is not None and contract.artifact_type == other.artifact_type:
            raise ValueError(
                f"stage {stage!r} makes {path!r}, and artifacts of type {contract.artifact_type!r} "
                f"are made already in {other.path!r}"
            )
        if contract.key == other.key:
            raise ValueError(
                f"stage {stage!r} makes {path!r} under the key {contract.key!r}, as is made "
                f"already {other.path!r}: give one of them a key of its own"
            )


MAX_PATH_BYTES = 60
"""So that any path fits one file name in `attempts/`, percent-encoded, beside its stage's name."""
