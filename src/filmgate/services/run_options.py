"""Options and result of an invocation of any pipeline."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, ValidationError

from filmgate.core.answers import Receipt
from filmgate.core.command import CommandLine
from filmgate.core.digest import JsonObject
from filmgate.core.errors import (
    ExitCode,
    FilmgateError,
    Invalid,
    NotPermitted,
    Unavailable,
    UsageError,
    first_fault,
)
from filmgate.core.manifest import Manifest, StageEntry
from filmgate.core.pipeline import NextSteps, Options, Pipeline
from filmgate.core.plan import Plan
from filmgate.core.records import RunHead, WarningCode
from filmgate.core.run_request import RunRequest
from filmgate.core.states import StageState
from filmgate.engine.invocation import Request


class Verify(StrEnum):
    """How often gates hash files during a run."""

    FAST = "fast"
    FULL = "full"


class ExecutorName(StrEnum):
    """Where items of a stage are processed."""

    LOCAL = "local"
    RAY = "ray"


class RunOptions(RunRequest):
    """Options of an invocation on this machine."""

    job_dir: Annotated[
        str | None,
        Field(description="Folder of the run. Its name is the run id."),
        CommandLine(metavar="DIR"),
    ] = None
    verify: Annotated[
        Verify,
        Field(
            description="fast: hash a file again only if it changed; full: hash it at every gate."
        ),
    ] = Verify.FAST
    executor: Annotated[
        ExecutorName, Field(description="Process items on this machine or on Ray.")
    ] = ExecutorName.LOCAL
    ingest: Annotated[
        bool,
        Field(description="Ingest the finished run, or do not."),
        CommandLine(names=("--ingest/--no-ingest",)),
    ] = True
    is_detailed: Annotated[
        bool, Field(description="Log every event."), CommandLine(is_offered=False)
    ] = False
    has_only_defaults: Annotated[
        bool,
        Field(description="No setting and no option of the pipeline was given."),
        CommandLine(is_offered=False),
    ] = False

    def with_pipeline_options(self, chosen: Options) -> Self:
        """Return the options with the settings that the options of the pipeline set, too.

        Settings that were given by name take precedence.
        """
        return self.with_values(
            settings={**chosen.stage_settings(), **self.settings},
            has_only_defaults=not (self.settings or chosen.has_choices),
        )

    def with_values(self, **values: object) -> Self:
        """Return the options with some values replaced."""
        return self.model_copy(update=values)

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
            jobs=self.workers,
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
    ingested: Mapping[str, int] | None = None
    """Numbers of ingested artifacts and rows by name; None if the run was not ingested."""
    next_steps: Callable[[NextSteps], Iterable[str]] = field(default=lambda _run: ())
    """Returns command lines for a user to try."""
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
        if self.ingest_error is None or code in _CODES_OF_STAGES:
            return code
        has_own_code = isinstance(self.ingest_error, Unavailable | NotPermitted)
        return self.ingest_error.exit_code if has_own_code else ExitCode.STAGE_FAILED

    def _stages_exit_code(self) -> ExitCode:
        stages = self.manifest.stages
        entries = [stages[name] for name in self.relevant_stages]
        failed = [entry for entry in entries if entry.status is StageState.FAILED]
        if failed:
            if all(entry.error and entry.error.code == NotPermitted.code for entry in failed):
                return ExitCode.NOT_PERMITTED
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


_CODES_OF_STAGES = frozenset({ExitCode.STAGE_FAILED, ExitCode.BLOCKED, ExitCode.NOT_PERMITTED})
"""Exit codes of stages that take precedence over those of a failed ingest."""


def frozen_settings(head: RunHead) -> dict[str, object]:
    """Return all settings of a run by `STAGE.SETTING`."""
    return {
        f"{stage}.{name}": value
        for stage, own in head.config.items()
        for name, value in own.items()
    }


def _is_by_input(entry: StageEntry) -> bool:
    """Whether a stage failed only because items of its input are invalid."""
    is_invalid = entry.error is not None and entry.error.code == Invalid.code
    items = entry.item_errors
    return is_invalid and bool(items) and all(item.code == Invalid.code for item in items)


def with_ancestors(plan: Plan, stages: frozenset[str]) -> frozenset[str]:
    """Return stages and all stages that they depend on."""
    return frozenset(stages).union(*(plan.ancestors(name) for name in stages))


def parse_pipeline_options(pipeline: Pipeline, given: JsonObject) -> Options:
    """Parse the options of a pipeline; raises UsageError if one is unknown or invalid."""
    try:
        return pipeline.options.model_validate(given)
    except ValidationError as error:
        known = ", ".join(pipeline.options.model_fields) or "none"
        raise UsageError(
            f"an option of the pipeline {pipeline.plan.pipeline} is invalid",
            expected=f"options of their types: {known}",
            got=first_fault(error),
        ) from error


def count_ingested(pipeline: Pipeline, receipt: Receipt | None) -> dict[str, int] | None:
    """Return the numbers of ingested artifacts and of rows by what reports call them."""
    if receipt is None:
        return None
    found = dict(receipt.artifacts)
    for summary in pipeline.summaries:
        for table, label in summary.labels.items():
            count = receipt.counts.get(table)
            if count or (count is not None and " " not in label):
                found[label] = count
    return found
