"""Planning: forecasts what an invocation would do with each stage, without doing it."""

from collections.abc import Container, Iterable, Mapping
from types import MappingProxyType
from typing import Any

from filmgate.core.errors import FilmgateError
from filmgate.core.forecast import PlannedAction, StageForecast
from filmgate.core.gates import (
    Reason,
    ReasonCode,
    UpstreamState,
    check_upstreams,
    provider_unavailable,
    stage_disabled,
)
from filmgate.core.manifest import Ledger
from filmgate.core.payloads.registry import Registry
from filmgate.core.plan import Plan, Stage
from filmgate.core.ports import RunDirectory
from filmgate.core.records import Change, Fingerprint, StageRecord
from filmgate.core.resources import Resources
from filmgate.core.states import StageState
from filmgate.engine.gate_checker import GateChecker
from filmgate.engine.inputs import Inputs
from filmgate.engine.invocation import Request
from filmgate.engine.open_attempt import SWITCHED_OFF

Forecasts = tuple[StageForecast, ...]
FILE_FAULTS = frozenset(
    {
        ReasonCode.MISSING_ARTIFACT,
        ReasonCode.DIGEST_MISMATCH,
        ReasonCode.SCHEMA_INVALID,
        ReasonCode.COUNT_MISMATCH,
    }
)
"""Codes of faults in a file."""

MAY_RUN = frozenset({PlannedAction.RUN, PlannedAction.DEPENDS_ON_UPSTREAM})
"""Actions under which a stage may make its files again."""


def forecast_run(
    plan: Plan,
    run: RunDirectory,
    inputs: Inputs,
    request: Request,
    registry: Registry,
    resources: Resources = MappingProxyType({}),
) -> Forecasts:
    """Forecast what `request` would do with every stage of an existing run."""
    gate = GateChecker(plan, run, inputs, registry, resources)
    return tuple(_Forecaster(plan, request, run.ledger(), gate).forecast_all())


def forecast_new_run(plan: Plan, request: Request, config: Mapping[str, Any]) -> Forecasts:
    """Forecast what `request` would do with every stage of a run that does not exist yet."""
    forecasts: dict[str, StageForecast] = {}
    skipped: set[str] = set()
    for stage in plan.stages:
        lacking = [
            UpstreamState(stage=name, state=StageState.PENDING)
            for name in stage.needs
            if name not in skipped
            and forecasts[name].fate in {PlannedAction.NOT_SELECTED, PlannedAction.BLOCKED}
        ]
        reasons = check_upstreams(stage.name, lacking, {}).reasons
        if not request.selects(plan, stage):
            forecasts[stage.name] = _not_selected(stage)
        elif reasons:
            forecasts[stage.name] = _blocked(stage, reasons)
        elif cause := _skip_cause(stage, config, skipped):
            skipped.add(stage.name)
            forecasts[stage.name] = _skipped(stage, cause, request)
        else:
            forecasts[stage.name] = StageForecast(
                stage=stage.name, fate=PlannedAction.RUN, why="a new run"
            )
    return tuple(forecasts.values())


def _skip_cause(stage: Stage, config: Mapping[str, Any], skipped: Container[str]) -> str | None:
    """Why the stage would be skipped; None if that cannot be known before it runs."""
    if not config[stage.name]["enabled"]:
        return SWITCHED_OFF
    return next((f"{name} is skipped" for name in stage.requires if name in skipped), None)


def _not_selected(stage: Stage) -> StageForecast:
    return StageForecast(stage=stage.name, fate=PlannedAction.NOT_SELECTED, why="not selected")


def _blocked(stage: Stage, reasons: Iterable[Reason]) -> StageForecast:
    all_reasons = tuple(reasons)
    codes = ", ".join(dict.fromkeys(reason.code.value for reason in all_reasons))
    return StageForecast(
        stage=stage.name, fate=PlannedAction.BLOCKED, why=codes, reasons=all_reasons
    )


def _skipped(stage: Stage, cause: str, request: Request) -> StageForecast:
    """Forecast a skip, or a block if the stage was selected by name."""
    if stage.name not in request.named:
        return StageForecast(stage=stage.name, fate=PlannedAction.SKIP, why=cause)
    is_disabled = cause == SWITCHED_OFF
    reason = stage_disabled(stage.name) if is_disabled else provider_unavailable(stage.name, cause)
    return _blocked(stage, [reason])


class _Forecaster:
    """Forecasts the stages of one run in the order of the plan."""

    def __init__(self, plan: Plan, request: Request, ledger: Ledger, gate: GateChecker) -> None:
        self._plan = plan
        self._request = request
        self._ledger = ledger
        self._gate = gate
        self._actions: dict[str, PlannedAction] = {}
        self._skipped: set[str] = set()

    def forecast_all(self) -> list[StageForecast]:
        forecasts = []
        for stage in self._plan.stages:
            forecast = self._forecast(stage)
            self._actions[stage.name] = forecast.fate
            forecasts.append(forecast)
        return forecasts

    def _forecast(self, stage: Stage) -> StageForecast:
        if not self._request.selects(self._plan, stage):
            verdict = self._gate.verify(stage, self._ledger)
            faults = [reason for reason in verdict.reasons if not self._is_only_staged(reason)]
            return _blocked(stage, faults) if faults else _not_selected(stage)
        if reasons := self._reasons(stage):
            return _blocked(stage, reasons)
        if cause := _skip_cause(stage, self._ledger.head.config, self._skipped):
            self._skipped.add(stage.name)
            return _skipped(stage, cause, self._request)
        return self._forecast_open(stage)

    def _forecast_open(self, stage: Stage) -> StageForecast:
        """Forecast a stage whose gate is open."""
        try:
            fingerprint = self._gate.fingerprint(stage, self._ledger)
        except FilmgateError as error:
            return _blocked(stage, [provider_unavailable(stage.name, str(error))])
        changes = self._changes(stage, fingerprint)
        if cause := self._run_cause(stage, changes):
            return StageForecast(
                stage=stage.name, fate=PlannedAction.RUN, why=cause, changes=changes
            )
        if upstream := self._running_upstream(stage):
            why = f"unless {', '.join(upstream)} makes the same bytes again"
            return StageForecast(stage=stage.name, fate=PlannedAction.DEPENDS_ON_UPSTREAM, why=why)
        return StageForecast(stage=stage.name, fate=PlannedAction.REUSE, why="up to date")

    def _running_upstream(self, stage: Stage) -> list[str]:
        """Stages that `stage` directly depends on and that may run."""
        return [name for name in stage.depends_on if self._actions[name] in MAY_RUN]

    def _reasons(self, stage: Stage) -> list[Reason]:
        """Reasons that close the gate, without those that are resolved before it is checked.

        Two kinds of faults are resolved: faults of stages that run before this one, and files of
        a committed attempt that a crash left in staging.
        """
        protect = self._request.protects(stage)
        current = self._gate.check(stage, self._ledger, protect_own=protect).reasons
        reasons = [
            reason
            for reason in current
            if self._actions.get(reason.stage) not in MAY_RUN
            and not self._is_only_staged(reason)
            and reason.stage not in self._skipped
        ]
        blocked = [
            name
            for name in stage.needs
            if self._actions[name] is PlannedAction.BLOCKED and name not in self._skipped
        ]
        if blocked and not reasons:
            return [reason for reason in current if reason.stage in blocked] or list(current)
        return reasons

    def _is_only_staged(self, reason: Reason) -> bool:
        """Whether a file fault exists only because a crash left the file in staging."""
        record = (
            self._ledger.current_record(reason.stage) if reason.stage in self._plan.names else None
        )
        is_of_file = reason.code in FILE_FAULTS
        return is_of_file and record is not None and not self._ledger.has_files_in_place(record)

    def _changes(self, stage: Stage, fingerprint: Fingerprint) -> tuple[Change, ...]:
        """Changed parts of the fingerprint, without those that upstream stages may still change."""
        record = self._ledger.current_record(stage.name)
        if record is None or record.fingerprint is None:
            return ()
        changes = fingerprint.changes(record.fingerprint)
        is_upstream_open = bool(self._running_upstream(stage))
        return tuple(
            change
            for change in changes
            if not (is_upstream_open and change.part.startswith(("inputs.", "records.")))
        )

    def _run_cause(self, stage: Stage, changes: tuple[Change, ...]) -> str | None:
        """Why the stage runs regardless of the stages before it; None if it may be reused."""
        record = self._ledger.current_record(stage.name)
        if self._request.forces(stage):
            return "forced"
        if record is None:
            state = self._ledger.state(stage.name)
            return "was interrupted" if state is StageState.RUNNING else "has not run yet"
        if changes:
            return f"changed: {', '.join(change.part for change in changes)}"
        return self._retry_cause(stage, record)

    def _retry_cause(self, stage: Stage, record: StageRecord) -> str | None:
        """Why a stage with an unchanged fingerprint runs again; None if it need not."""
        if record.status is StageState.FAILED:
            return f"failed before: {record.error.message if record.error else 'no reason'}"
        if record.status is StageState.SKIPPED:
            return f"was skipped before: {record.reason}"
        if not self._ledger.has_files_in_place(record):
            return None
        is_upstream_open = bool(self._running_upstream(stage))
        is_intact = self._gate.has_intact_files(record) and (
            is_upstream_open or self._gate.is_sound(record, self._ledger)
        )
        return None if is_intact else "its files or records are missing or altered"
