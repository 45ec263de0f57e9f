"""What a caller may ask of a run, whatever its pipeline."""

import json
from dataclasses import dataclass
from pathlib import Path

from filmgate.core.answers import Receipt
from filmgate.core.errors import ExitCode, FilmgateError, Invalid, Unavailable
from filmgate.core.manifest import Manifest, StageEntry
from filmgate.core.pipeline import DEFAULT_PROFILE
from filmgate.core.plan import Plan
from filmgate.core.records import EVERY_ITEM_FAILED, RunHead
from filmgate.core.states import StageState
from filmgate.engine.invocation import Request


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """What the caller asks for; empty means the usual."""

    asset_id: str | None = None
    run_id: str | None = None
    new: bool = False
    job_dir: str | None = None
    env: str | None = None
    """What kind of work it is; of the installation's settings where left out."""
    profile: str = DEFAULT_PROFILE
    settings: tuple[str, ...] = ()
    """`STAGE.SETTING=VALUE`."""
    stages: tuple[str, ...] = ()
    resume_from: str | None = None
    force: bool = False
    repair: bool = False
    strict: bool = False
    verify_full: bool = False
    jobs: int = 1
    executor: str = "local"
    """`local` or `ray`."""
    ingest: bool = True
    is_detailed: bool = False

    @property
    def goes_on(self) -> bool:
        """Whether what is asked is asked of a run that is there: in a new one nothing could be
        mended or made again, and the gates of later stages could only be closed."""
        return self.repair or self.force or bool(self.stages) or self.resume_from is not None

    def request(self, plan: Plan) -> Request:
        """Which stages may run, and how; Invalid where that is none."""
        chosen = plan.select(self.stages)
        if self.resume_from is not None:
            chosen &= plan.from_stage(self.resume_from)
        if not chosen:
            raise Invalid(
                "no stage is left to run",
                expected=f"a stage of {', '.join(self.stages)} from {self.resume_from} on",
                got="none",
            )
        return Request(
            stages=chosen,
            named=chosen if self.stages else frozenset(),
            force=self.force,
            repair=self.repair,
            strict=self.strict,
            jobs=self.jobs,
        )


@dataclass(frozen=True, kw_only=True)
class RunReport:
    """How a run stands after an invocation."""

    manifest: Manifest
    folder: Path
    concerned: frozenset[str]
    """The stages that were asked for, and those they stand on."""
    refused: ExitCode = ExitCode.DONE
    """How it ends where stages left bad items out."""
    receipt: Receipt | None = None
    ingest_error: FilmgateError | None = None
    """Why a run that was to be ingested was not."""
    notes: tuple[str, ...] = ()
    """What a person should know besides: why it was not ingested, other inputs of that name."""

    @property
    def exit_code(self) -> ExitCode:
        """A failure counts where it concerns what was asked for; a broken file anywhere. A failed
        ingest counts after failed and blocked stages, and before refused items."""
        code = self._code_of_stages()
        if self.ingest_error is None or code in {ExitCode.STAGE_FAILED, ExitCode.BLOCKED}:
            return code
        is_away = isinstance(self.ingest_error, Unavailable)
        return ExitCode.UNAVAILABLE if is_away else ExitCode.STAGE_FAILED

    def _code_of_stages(self) -> ExitCode:
        stages = self.manifest.stages
        asked = [stages[name] for name in self.concerned]
        failed = [entry for entry in asked if entry.status is StageState.FAILED]
        if failed:
            is_told = self.refused is not ExitCode.DONE and all(map(_is_by_input, failed))
            return self.refused if is_told else ExitCode.STAGE_FAILED
        if any(entry.status is StageState.BLOCKED for entry in stages.values()):
            return ExitCode.BLOCKED
        if any(each["code"] == EVERY_ITEM_FAILED for entry in asked for each in entry.warnings):
            return ExitCode.BAD_INPUT
        bad = [each.code for entry in asked for each in entry.item_errors]
        if self.refused is ExitCode.DONE or not bad:
            return ExitCode.DONE
        return self.refused if set(bad) == {Invalid.code} else ExitCode.STAGE_FAILED


def settings_of(head: RunHead) -> tuple[str, ...]:
    """Every setting that a run was begun with, as `STAGE.SETTING=VALUE`."""
    return tuple(
        f"{stage}.{name}={json.dumps(value)}"
        for stage, own in head.config.items()
        for name, value in own.items()
    )


def _is_by_input(entry: StageEntry) -> bool:
    """Whether a stage failed for its items' sake, each of which was refused."""
    is_refused = entry.error is not None and entry.error.code == Invalid.code
    bad = entry.item_errors
    return is_refused and bool(bad) and all(each.code == Invalid.code for each in bad)


def concerned(plan: Plan, stages: frozenset[str]) -> frozenset[str]:
    """Stages, and all that they stand on."""
    return frozenset(stages).union(*(plan.ancestors(name) for name in stages))
