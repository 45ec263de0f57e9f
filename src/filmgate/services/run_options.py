"""Options and result of an invocation of any pipeline."""

import json
from dataclasses import dataclass
from pathlib import Path

from filmgate.core.answers import Receipt
from filmgate.core.errors import ExitCode, FilmgateError, Invalid, Unavailable
from filmgate.core.manifest import Manifest, StageEntry
from filmgate.core.pipeline import DEFAULT_PROFILE
from filmgate.core.plan import Plan
from filmgate.core.records import RunHead, WarningCode
from filmgate.core.states import StageState
from filmgate.engine.invocation import Request


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Options of an invocation; an empty value means the default."""

    asset_id: str | None = None
    run_id: str | None = None
    new: bool = False
    job_dir: str | None = None
    env: str | None = None
    """Environment, such as `dev` or `prod`; default: that of the installation's settings."""
    profile: str = DEFAULT_PROFILE
    settings: tuple[str, ...] = ()
    """Stage settings, each `STAGE.SETTING=VALUE`."""
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
    def targets_existing_run(self) -> bool:
        """Whether the options apply only to an existing run.

        A new run has no stages to repair or to run again, and the gates of its later stages are
        blocked.
        """
        return self.repair or self.force or bool(self.stages) or self.resume_from is not None

    def request(self, plan: Plan) -> Request:
        """Return the stages that may run, and how; raises Invalid if no stage is selected."""
        chosen = plan.select(self.stages)
        if self.resume_from is not None:
            chosen &= plan.from_stage(self.resume_from)
        if not chosen:
            raise Invalid(
                "the options select no stage to run",
                expected=f"--stages with {self.resume_from} or a later stage",
                got=f"--stages {','.join(self.stages)}",
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
    """The state of a run after an invocation."""

    manifest: Manifest
    folder: Path
    relevant_stages: frozenset[str]
    """The requested stages, and the stages that they depend on."""
    refused: ExitCode = ExitCode.DONE
    """Exit code of a run whose stages left out invalid items."""
    receipt: Receipt | None = None
    ingest_error: FilmgateError | None = None
    """The error if the ingest of the run failed; None if it succeeded or was not requested."""
    notes: tuple[str, ...] = ()
    """Messages for the user, such as why the run was not ingested."""

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of the command.

        A failed stage counts only if it is relevant; a broken file counts in any stage. Failed and
        blocked stages take precedence over a failed ingest, and that over refused items.
        """
        code = self._stages_exit_code()
        if self.ingest_error is None or code in {ExitCode.STAGE_FAILED, ExitCode.BLOCKED}:
            return code
        is_unavailable = isinstance(self.ingest_error, Unavailable)
        return ExitCode.UNAVAILABLE if is_unavailable else ExitCode.STAGE_FAILED

    def _stages_exit_code(self) -> ExitCode:
        stages = self.manifest.stages
        entries = [stages[name] for name in self.relevant_stages]
        failed = [entry for entry in entries if entry.status is StageState.FAILED]
        if failed:
            is_refused = self.refused is not ExitCode.DONE and all(map(_is_by_input, failed))
            return self.refused if is_refused else ExitCode.STAGE_FAILED
        if any(entry.status is StageState.BLOCKED for entry in stages.values()):
            return ExitCode.BLOCKED
        warnings = [warning for entry in entries for warning in entry.warnings]
        if any(warning["code"] == WarningCode.EVERY_ITEM_FAILED for warning in warnings):
            return ExitCode.BAD_INPUT
        codes = {item.code for entry in entries for item in entry.item_errors}
        if self.refused is ExitCode.DONE or not codes:
            return ExitCode.DONE
        return self.refused if codes == {Invalid.code} else ExitCode.STAGE_FAILED


def frozen_settings(head: RunHead) -> tuple[str, ...]:
    """Return all settings of a run, each as `STAGE.SETTING=VALUE`."""
    return tuple(
        f"{stage}.{name}={json.dumps(value)}"
        for stage, own in head.config.items()
        for name, value in own.items()
    )


def _is_by_input(entry: StageEntry) -> bool:
    """Whether a stage failed only because items of its input are invalid."""
    is_invalid = entry.error is not None and entry.error.code == Invalid.code
    items = entry.item_errors
    return is_invalid and bool(items) and all(item.code == Invalid.code for item in items)


def with_ancestors(plan: Plan, stages: frozenset[str]) -> frozenset[str]:
    """Return stages and all stages that they depend on."""
    return frozenset(stages).union(*(plan.ancestors(name) for name in stages))
