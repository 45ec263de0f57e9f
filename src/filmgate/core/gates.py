"""Gates: may a stage start on what it stands on? The answer is a verdict with every reason."""

from collections.abc import Callable, Container, Iterable, Mapping
from enum import StrEnum
from typing import NamedTuple

from filmgate.core.records import ArtifactRef, Record, StageRecord
from filmgate.core.states import StageState


class ReasonCode(StrEnum):
    """Why a gate is closed."""

    MISSING_ARTIFACT = "missing_artifact"
    DIGEST_MISMATCH = "digest_mismatch"
    SCHEMA_INVALID = "schema_invalid"
    COUNT_MISMATCH = "count_mismatch"
    SCHEMA_VERSION_UNSUPPORTED = "schema_version_unsupported"
    UPSTREAM_FAILED = "upstream_failed"
    UPSTREAM_NOT_SUCCESS = "upstream_not_success"
    RUN_ID_MISMATCH = "run_id_mismatch"
    INPUT_CHANGED = "input_changed"
    STAGE_DISABLED = "stage_disabled"
    PROVIDER_UNAVAILABLE = "provider_unavailable"


class Reason(Record):
    """One thing that is wrong, what would be right, and what to do about it."""

    code: ReasonCode
    stage: str
    """The stage whose state or file is at fault."""
    path: str | None = None
    expected: str
    got: str
    action: str

    def __str__(self) -> str:
        """One line for a person."""
        what = self.path or f"stage {self.stage}"
        return f"{self.code}: {what}: expected {self.expected}; got {self.got}. {self.action}"


class Verdict(Record):
    """A gate's answer about one stage. Open when there is no reason against it."""

    stage: str
    reasons: tuple[Reason, ...]

    @property
    def is_open(self) -> bool:
        """Whether the stage may start."""
        return not self.reasons

    @property
    def suggested_actions(self) -> tuple[str, ...]:
        """What to do, each once, in the order of the reasons."""
        return tuple(dict.fromkeys(reason.action for reason in self.reasons))


class FileFacts(NamedTuple):
    """What was found where a file should be."""

    size_bytes: int
    sha256: str


class Examination(NamedTuple):
    """What a file holds, seen with its contract in hand."""

    records: int | None
    """None where it could not be read to its end."""
    fault: str | None = None
    """The first breach of the contract."""


Examine = Callable[[str], Examination | None]
"""Asked only of files, by path, whose bytes are not those recorded; None where nobody can tell."""


def unexamined(path: str) -> None:
    """For whoever has no contracts at hand."""


class Footing(NamedTuple):
    """A stage that another stands on, as found."""

    stage: str
    state: StageState
    artifacts: tuple[ArtifactRef, ...] = ()
    """What its successful record names."""
    supported: Mapping[str, int] | None = None
    """Schema version that the plan reads, by path."""


def check_footings(
    stage: str,
    footings: Iterable[Footing],
    found: Mapping[str, FileFacts | None],
    examine: Examine = unexamined,
) -> Verdict:
    """Ask the gate of `stage`. `found` holds, by path, what is on disk now; None where nothing."""
    reasons: list[Reason] = []
    for footing in footings:
        if footing.state is StageState.SUCCESS:
            reasons += check_files(footing, found, examine)
        elif footing.state is StageState.FAILED:
            reasons.append(_upstream(ReasonCode.UPSTREAM_FAILED, footing))
        elif footing.state is not StageState.SKIPPED:
            reasons.append(_upstream(ReasonCode.UPSTREAM_NOT_SUCCESS, footing))
    return Verdict(stage=stage, reasons=tuple(reasons))


def check_files(
    footing: Footing, found: Mapping[str, FileFacts | None], examine: Examine = unexamined
) -> list[Reason]:
    """Every fault of the files that a successful stage left."""
    reasons = []
    for ref in footing.artifacts:
        facts = found.get(ref.path)
        if facts is None:
            reasons.append(_missing(footing.stage, ref))
        elif facts.sha256 != ref.sha256:
            reasons.append(_altered(footing.stage, ref, facts))
            reasons += _broken(footing.stage, ref, examine(ref.path))
        else:
            reasons += _unsupported(footing, ref)
    return reasons


RUN = "run"
"""Stands for a stage where a fault is of the run as a whole."""


def check_inputs(frozen: Mapping[str, str], now: Mapping[str, str]) -> list[Reason]:
    """Every input that is not what the run was begun on: other bytes, gone, or new beside it."""
    return [
        Reason(
            code=ReasonCode.INPUT_CHANGED,
            stage=RUN,
            path=name,
            expected=frozen.get(name, "no such file"),
            got=now.get(name, "no such file"),
            action="Restore the input, or begin a run on the new one with --new",
        )
        for name in sorted({*frozen, *now})
        if frozen.get(name) != now.get(name)
    ]


def check_lineage(record: StageRecord, known: Container[str]) -> list[Reason]:
    """Records that this one stood on and that are not there any more."""
    return [
        Reason(
            code=ReasonCode.MISSING_ARTIFACT,
            stage=stood.stage,
            path="commits/",
            expected=f"a record of {stood.stage} with sha256 {stood.record}",
            got="none",
            action="Restore the record, or make all that stood on it again: --repair",
        )
        for stood in record.lineage
        if stood.record not in known
    ]


def check_unrecorded(stage: str, paths: Iterable[str]) -> list[Reason]:
    """Files under the stage's names that no record of it speaks of: a record was lost, or they
    are somebody's own."""
    return [
        Reason(
            code=ReasonCode.MISSING_ARTIFACT,
            stage=stage,
            path=path,
            expected=f"a record in commits/ that names {path}",
            got="a file, and no record of it",
            action="Restore the record, move the file away, or write over it: --repair",
        )
        for path in paths
    ]


def check_run(expected: str, got: str) -> list[Reason]:
    """A run's folder that goes by another run's id."""
    if expected == got:
        return []
    return [
        Reason(
            code=ReasonCode.RUN_ID_MISMATCH,
            stage=RUN,
            path="run.json",
            expected=f"run {expected}, as its folder is called",
            got=f"run {got}",
            action="Give the folder its run's own name, or begin a run of your own with --new",
        )
    ]


class Stranger(NamedTuple):
    """A file among the records that is no record of this run: torn, altered, or of another."""

    stage: str
    attempt: int
    expected: str
    got: str
    is_of_another_run: bool

    @property
    def path(self) -> str:
        """Where it lies."""
        return f"commits/{self.stage}.a{self.attempt}.json"


def check_strangers(strangers: Iterable[Stranger]) -> list[Reason]:
    """Records that were torn or altered, or made in another run."""
    return [
        Reason(
            code=ReasonCode.RUN_ID_MISMATCH
            if stranger.is_of_another_run
            else ReasonCode.DIGEST_MISMATCH,
            stage=stranger.stage,
            path=stranger.path,
            expected=stranger.expected,
            got=stranger.got,
            action="Restore the record or move it away, or make the stage again: --repair",
        )
        for stranger in strangers
    ]


def stage_disabled(stage: str) -> Reason:
    """A stage asked for by name that the run's config switches off."""
    return Reason(
        code=ReasonCode.STAGE_DISABLED,
        stage=stage,
        expected="a stage that is switched on",
        got=f"{stage}.enabled = false in the run's config",
        action=f"Begin a run with it switched on (--new), or leave {stage} out of --stages",
    )


def provider_unavailable(stage: str, reason: str) -> Reason:
    """A stage asked for by name that has nothing to work on or with."""
    return Reason(
        code=ReasonCode.PROVIDER_UNAVAILABLE,
        stage=stage,
        expected="input and a provider for the stage",
        got=reason,
        action=f"Give {stage} what it lacks, or leave it out of --stages",
    )


def _upstream(code: ReasonCode, footing: Footing) -> Reason:
    return Reason(
        code=code,
        stage=footing.stage,
        expected=StageState.SUCCESS,
        got=footing.state,
        action=f"Run {footing.stage} first: --resume-from {footing.stage}",
    )


def _missing(stage: str, ref: ArtifactRef) -> Reason:
    return Reason(
        code=ReasonCode.MISSING_ARTIFACT,
        stage=stage,
        path=ref.path,
        expected=f"a file of {ref.size_bytes} bytes, sha256 {ref.sha256}",
        got="no file",
        action=_mend(stage),
    )


def _altered(stage: str, ref: ArtifactRef, facts: FileFacts) -> Reason:
    return Reason(
        code=ReasonCode.DIGEST_MISMATCH,
        stage=stage,
        path=ref.path,
        expected=f"{ref.size_bytes} bytes, sha256 {ref.sha256}",
        got=f"{facts.size_bytes} bytes, sha256 {facts.sha256}",
        action=_mend(stage),
    )


def _broken(stage: str, ref: ArtifactRef, seen: Examination | None) -> list[Reason]:
    """What is wrong inside a file whose bytes are not those recorded."""
    reasons = []
    if seen is not None and seen.fault is not None:
        reasons.append(
            Reason(
                code=ReasonCode.SCHEMA_INVALID,
                stage=stage,
                path=ref.path,
                expected=f"{ref.schema_name} version {ref.schema_version}",
                got=seen.fault,
                action=_mend(stage),
            )
        )
    if seen is not None and seen.records is not None and seen.records != ref.records:
        reasons.append(
            Reason(
                code=ReasonCode.COUNT_MISMATCH,
                stage=stage,
                path=ref.path,
                expected=f"{ref.records} records",
                got=f"{seen.records} records",
                action=_mend(stage),
            )
        )
    return reasons


def _unsupported(footing: Footing, ref: ArtifactRef) -> list[Reason]:
    readable = (footing.supported or {}).get(ref.path, ref.schema_version)
    if readable == ref.schema_version:
        return []
    return [
        Reason(
            code=ReasonCode.SCHEMA_VERSION_UNSUPPORTED,
            stage=footing.stage,
            path=ref.path,
            expected=f"{ref.schema_name} version {readable}",
            got=f"version {ref.schema_version}",
            action=f"Make it again: --force --stages {footing.stage}",
        )
    ]


def _mend(stage: str) -> str:
    return (
        f"Restore the file, or make it again with --repair; "
        f"where it was changed by hand and is meant: filmgate adopt {stage}"
    )
