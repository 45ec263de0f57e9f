"""Planning: forecasts what an invocation would do with each stage, without doing it."""

from collections.abc import Iterable
from types import MappingProxyType

from filmgate.core.forecast import PlannedAction, StageForecast
from filmgate.core.gates import Reason, ReasonCode, UpstreamState, check_upstreams
from filmgate.core.manifest import Ledger
from filmgate.core.payloads.registry import Registry
from filmgate.core.plan import Plan, Skipped, Stage
from filmgate.core.ports import RunDirectory
from filmgate.core.resources import Resources
from filmgate.core.states import StageState
from filmgate.engine.decision import (
    Block,
    Config,
    Reuse,
    Run,
    Situation,
    Skip,
    decide,
    find_skip,
    skip_reason,
)
from filmgate.engine.gate_checker import GateChecker
from filmgate.engine.inputs import Inputs
from filmgate.engine.invocation import Request

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


def forecast_new_run(plan: Plan, request: Request, config: Config) -> Forecasts:
    """Forecast what `request` would do with every stage of a run that does not exist yet."""
    forecasts: dict[str, StageForecast] = {}
    skipped: dict[str, str] = {}
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
        elif outcome := find_skip(stage, config, skipped):
            skipped[stage.name] = outcome.reason
            forecasts[stage.name] = _skipped(stage, outcome, request)
        else:
            forecasts[stage.name] = StageForecast(
                stage=stage.name, fate=PlannedAction.RUN, why="a new run"
            )
    return tuple(forecasts.values())


def _not_selected(stage: Stage) -> StageForecast:
    return StageForecast(stage=stage.name, fate=PlannedAction.NOT_SELECTED, why="not selected")


def _blocked(stage: Stage, reasons: Iterable[Reason]) -> StageForecast:
    all_reasons = tuple(reasons)
    codes = ", ".join(dict.fromkeys(reason.code.value for reason in all_reasons))
    return StageForecast(
        stage=stage.name, fate=PlannedAction.BLOCKED, why=codes, reasons=all_reasons
    )


def _skipped(stage: Stage, outcome: Skipped, request: Request) -> StageForecast:
    """Forecast a skip, or a block if the stage was selected by name."""
    if stage.name not in request.named:
        return StageForecast(stage=stage.name, fate=PlannedAction.SKIP, why=outcome.reason)
    return _blocked(stage, [skip_reason(stage.name, outcome.cause, outcome.reason)])


class _Forecaster:
    """Forecasts the stages of one run in the order of the plan."""

    def __init__(self, plan: Plan, request: Request, ledger: Ledger, gate: GateChecker) -> None:
        self._plan = plan
        self._request = request
        self._ledger = ledger
        self._gate = gate
        self._actions: dict[str, PlannedAction] = {}
        self._skipped: dict[str, str] = {}

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
        upstream = self._running_upstream(stage)
        skip = find_skip(stage, self._ledger.head.config, self._known_skips())
        situation = Situation(
            stage=stage,
            ledger=self._ledger,
            reasons=tuple(self._reasons(stage)),
            skip=skip,
            is_forced=self._request.forces(stage),
            is_upstream_open=bool(upstream),
        )
        decision = decide(
            situation,
            lambda: self._gate.fingerprint(stage, self._ledger, is_skipped=skip is not None),
            self._gate.has_intact_files,
        )
        match decision:
            case Block(reasons=reasons):
                return _blocked(stage, reasons)
            case Skip(outcome=outcome):
                self._skipped[stage.name] = outcome.reason
                return _skipped(stage, outcome, self._request)
            case Run(why=why, changes=changes):
                return StageForecast(
                    stage=stage.name, fate=PlannedAction.RUN, why=why, changes=changes
                )
            case Reuse():
                return self._reused(stage, upstream)

    def _known_skips(self) -> dict[str, str]:
        """Reasons of the stages that will be skipped, and of those that stay skipped."""
        stored = self._ledger.skip_reasons
        left = {n for n, action in self._actions.items() if action is PlannedAction.NOT_SELECTED}
        return {name: stored[name] for name in left & stored.keys()} | self._skipped

    def _reused(self, stage: Stage, running_upstream: list[str]) -> StageForecast:
        """Forecast a stage that is up to date, unless a stage before it makes other files."""
        if running_upstream:
            why = f"unless {', '.join(running_upstream)} makes the same bytes again"
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
