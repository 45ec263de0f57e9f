"""The decision what an invocation does with a stage; the scheduler and the planner share it.

The rules, of which the first that applies decides:

1. If the gate is closed or a required tool is missing, the stage is blocked.
2. If nothing that the result depends on has changed and its files are intact, it is reused.
3. If a stage that it requires is skipped, or it is disabled, it is skipped.
4. Otherwise it runs.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from filmgate.core.errors import FilmgateError
from filmgate.core.gates import Reason, check_lineage, provider_unavailable, stage_disabled
from filmgate.core.manifest import Ledger
from filmgate.core.plan import SkipCause, Skipped, Stage
from filmgate.core.records import Change, Fingerprint, StageRecord
from filmgate.core.states import StageState

Config = Mapping[str, Mapping[str, object]]
"""The resolved settings of a run, by stage."""


class RunCause(StrEnum):
    """Why a stage is not up to date."""

    FORCED = "forced"
    INTERRUPTED = "was interrupted"
    FIRST_RUN = "has not run yet"
    CHANGED = "changed"
    FAILED_BEFORE = "failed before"
    SKIPPED_BEFORE = "was skipped before"
    ALTERED = "its files or records are missing or altered"


@dataclass(frozen=True, kw_only=True)
class Block:
    """The stage must not run."""

    reasons: tuple[Reason, ...]


@dataclass(frozen=True, kw_only=True)
class Reuse:
    """The stage is up to date."""

    fingerprint: Fingerprint


@dataclass(frozen=True, kw_only=True)
class Skip:
    """The stage is skipped before its work starts."""

    fingerprint: Fingerprint
    outcome: Skipped


@dataclass(frozen=True, kw_only=True)
class Run:
    """The work of the stage has to be done."""

    fingerprint: Fingerprint
    cause: RunCause
    detail: str | None
    """More about the cause, for people."""
    changes: tuple[Change, ...]
    """Parts of the fingerprint that differ from the stage's current record."""

    @property
    def why(self) -> str:
        """The cause and its detail, for people."""
        return f"{self.cause}: {self.detail}" if self.detail is not None else str(self.cause)


Decision = Block | Reuse | Skip | Run


@dataclass(frozen=True, kw_only=True)
class Situation:
    """The state of a run from which the decision about one stage is made."""

    stage: Stage
    ledger: Ledger
    reasons: tuple[Reason, ...] = ()
    """Reasons that close the stage's gate."""
    skip: Skipped | None = None
    """Outcome of the stage if its work must not start; see `find_skip`."""
    is_forced: bool = False
    is_upstream_open: bool = False
    """Whether a stage that it depends on may still run, so that its inputs are not final."""


def decide(
    situation: Situation,
    fingerprint: Callable[[], Fingerprint],
    has_intact_files: Callable[[StageRecord], bool],
) -> Decision:
    """Decide what to do with a stage.

    `fingerprint` computes the stage's fingerprint now, and raises FilmgateError if a tool is
    missing. `has_intact_files` reads the files that a record names; it is called only if nothing
    else decides.
    """
    if situation.reasons:
        return Block(reasons=situation.reasons)
    stage = situation.stage
    try:
        now = fingerprint()
    except FilmgateError as error:
        return Block(reasons=(provider_unavailable(stage.name, str(error)),))
    changes = _changes(situation, now)
    cause = _run_cause(situation, changes, has_intact_files)
    if cause is None:
        return Reuse(fingerprint=now)
    if situation.skip is not None:
        return Skip(fingerprint=now, outcome=situation.skip)
    detail = _detail(cause, situation.ledger.current_record(stage.name), changes)
    return Run(fingerprint=now, cause=cause, detail=detail, changes=changes)


def find_skip(stage: Stage, config: Config, skipped: Mapping[str, str]) -> Skipped | None:
    """Return the outcome of a stage that is skipped without its work; None if its work starts.

    `config`: settings of every stage. `skipped`: reasons of the skipped stages, by name.
    """
    for name in stage.requires:
        if name in skipped:
            reason = f"{name} was skipped: {skipped[name]}"
            return Skipped(reason, cause=SkipCause.UPSTREAM_SKIPPED)
    if not config[stage.name]["enabled"]:
        return Skipped("switched off in the run's config", cause=SkipCause.DISABLED)
    return None


def skip_reason(stage: str, cause: SkipCause, text: str | None) -> Reason:
    """Return the reason that blocks a stage which was selected by name and is skipped.

    `text`: the reason of the skip, without secrets.
    """
    if cause is SkipCause.DISABLED:
        return stage_disabled(stage)
    return provider_unavailable(stage, text or "nothing")


def _changes(situation: Situation, now: Fingerprint) -> tuple[Change, ...]:
    """Changed parts of the fingerprint, without those that upstream stages may still change."""
    record = situation.ledger.current_record(situation.stage.name)
    if record is None or record.fingerprint is None:
        return ()
    return tuple(
        change
        for change in now.changes(record.fingerprint)
        if not (situation.is_upstream_open and change.part.startswith(("inputs.", "records.")))
    )


def _run_cause(
    situation: Situation,
    changes: tuple[Change, ...],
    has_intact_files: Callable[[StageRecord], bool],
) -> RunCause | None:
    """Why the stage is not up to date; None if it is."""
    ledger, name = situation.ledger, situation.stage.name
    record = ledger.current_record(name)
    if situation.is_forced:
        return RunCause.FORCED
    if record is None:
        is_interrupted = ledger.state(name) is StageState.RUNNING
        return RunCause.INTERRUPTED if is_interrupted else RunCause.FIRST_RUN
    if changes:
        return RunCause.CHANGED
    return _retry_cause(situation, record, has_intact_files)


def _retry_cause(
    situation: Situation, record: StageRecord, has_intact_files: Callable[[StageRecord], bool]
) -> RunCause | None:
    """Why a stage without changes is not up to date; None if it is.

    A skipped stage is never up to date: what it lacked may be available now.
    """
    ledger = situation.ledger
    if record.status is StageState.FAILED:
        return RunCause.FAILED_BEFORE
    if record.status is StageState.SKIPPED:
        return RunCause.SKIPPED_BEFORE
    if not ledger.has_files_in_place(record):  # the next holder of the lease moves them
        return None
    is_sound = situation.is_upstream_open or (
        not check_lineage(record, ledger.record_digests)
        and not ledger.foreign_records(record.stage)
    )
    is_intact = record.fingerprint is not None and is_sound and has_intact_files(record)
    return None if is_intact else RunCause.ALTERED


def _detail(cause: RunCause, record: StageRecord | None, changes: tuple[Change, ...]) -> str | None:
    if cause is RunCause.CHANGED:
        return ", ".join(change.part for change in changes)
    if cause is RunCause.FAILED_BEFORE:
        return record.error.message if record and record.error else "no reason"
    if cause is RunCause.SKIPPED_BEFORE:
        return str(record and record.reason)
    return None
