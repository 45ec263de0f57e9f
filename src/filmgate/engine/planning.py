"""Planning: what an invocation would do with each stage, without doing it."""

from collections.abc import Container, Iterable, Mapping
from types import MappingProxyType
from typing import Any

from filmgate.core.errors import FilmgateError
from filmgate.core.forecast import Fate, StageForecast
from filmgate.core.gates import (
    Footing,
    Reason,
    ReasonCode,
    check_footings,
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
from filmgate.engine.gatekeeper import Gatekeeper
from filmgate.engine.inputs import Inputs
from filmgate.engine.invocation import Request
from filmgate.engine.work import SWITCHED_OFF

Forecasts = tuple[StageForecast, ...]
OF_FILES = frozenset(
    {
        ReasonCode.MISSING_ARTIFACT,
        ReasonCode.DIGEST_MISMATCH,
        ReasonCode.SCHEMA_INVALID,
        ReasonCode.COUNT_MISMATCH,
    }
)
WILL_RUN = frozenset({Fate.RUN, Fate.PERHAPS})


def foresee(
    plan: Plan,
    run: RunDirectory,
    inputs: Inputs,
    request: Request,
    registry: Registry,
    resources: Resources = MappingProxyType({}),
) -> Forecasts:
    """What `request` would do with every stage of an existing run."""
    gate = Gatekeeper(plan, run, inputs, registry, resources)
    return tuple(_Foresight(plan, request, run.ledger(), gate).all())


def foresee_new(plan: Plan, request: Request, config: Mapping[str, Any]) -> Forecasts:
    """What `request` would do with every stage of a run that is not there yet."""
    forecasts: dict[str, StageForecast] = {}
    skipping: set[str] = set()
    for stage in plan.stages:
        lacking = [
            Footing(stage=name, state=StageState.PENDING)
            for name in stage.needs
            if name not in skipping and forecasts[name].fate in {Fate.LEFT, Fate.BLOCKED}
        ]
        reasons = check_footings(stage.name, lacking, {}).reasons
        if not request.concerns(plan, stage):
            forecasts[stage.name] = _left(stage)
        elif reasons:
            forecasts[stage.name] = _blocked(stage, reasons)
        elif why := _idle(stage, config, skipping):
            skipping.add(stage.name)
            forecasts[stage.name] = _skipped(stage, why, request)
        else:
            why = "a new run"
            forecasts[stage.name] = StageForecast(stage=stage.name, fate=Fate.RUN, why=why)
    return tuple(forecasts.values())


def _idle(stage: Stage, config: Mapping[str, Any], skipping: Container[str]) -> str | None:
    """Why the stage would be skipped; None where nothing says so beforehand."""
    if not config[stage.name]["enabled"]:
        return SWITCHED_OFF
    return next((f"{name} is skipped" for name in stage.requires if name in skipping), None)


def _left(stage: Stage) -> StageForecast:
    return StageForecast(stage=stage.name, fate=Fate.LEFT, why="not asked for")


def _blocked(stage: Stage, reasons: Iterable[Reason]) -> StageForecast:
    told = tuple(reasons)
    codes = ", ".join(dict.fromkeys(reason.code.value for reason in told))
    return StageForecast(stage=stage.name, fate=Fate.BLOCKED, why=codes, reasons=told)


def _skipped(stage: Stage, why: str, request: Request) -> StageForecast:
    if stage.name not in request.named:
        return StageForecast(stage=stage.name, fate=Fate.SKIP, why=why)
    is_off = why == SWITCHED_OFF
    reason = stage_disabled(stage.name) if is_off else provider_unavailable(stage.name, why)
    return _blocked(stage, [reason])


class _Foresight:
    def __init__(self, plan: Plan, request: Request, ledger: Ledger, gate: Gatekeeper) -> None:
        self._plan = plan
        self._request = request
        self._ledger = ledger
        self._gate = gate
        self._fates: dict[str, Fate] = {}
        self._skipping: set[str] = set()

    def all(self) -> list[StageForecast]:
        forecasts = []
        for stage in self._plan.stages:
            forecast = self._of(stage)
            self._fates[stage.name] = forecast.fate
            forecasts.append(forecast)
        return forecasts

    def _of(self, stage: Stage) -> StageForecast:
        if not self._request.concerns(self._plan, stage):
            verdict = self._gate.verify(stage, self._ledger)
            faults = [each for each in verdict.reasons if not self._is_unnamed(each)]
            return _blocked(stage, faults) if faults else _left(stage)
        if reasons := self._reasons(stage):
            return _blocked(stage, reasons)
        if why := _idle(stage, self._ledger.head.config, self._skipping):
            self._skipping.add(stage.name)
            return _skipped(stage, why, self._request)
        return self._of_open(stage)

    def _of_open(self, stage: Stage) -> StageForecast:
        """A stage whose gate is open."""
        try:
            fingerprint = self._gate.fingerprint(stage, self._ledger)
        except FilmgateError as error:
            return _blocked(stage, [provider_unavailable(stage.name, str(error))])
        changes = self._changes(stage, fingerprint)
        if why := self._cause(stage, changes):
            return StageForecast(stage=stage.name, fate=Fate.RUN, why=why, changes=changes)
        if moving := self._moving(stage):
            why = f"unless {', '.join(moving)} makes the same bytes again"
            return StageForecast(stage=stage.name, fate=Fate.PERHAPS, why=why)
        return StageForecast(stage=stage.name, fate=Fate.REUSE, why="up to date")

    def _moving(self, stage: Stage) -> list[str]:
        """What it stands on that runs."""
        return [name for name in stage.stands_on if self._fates[name] in WILL_RUN]

    def _reasons(self, stage: Stage) -> list[Reason]:
        """What closes the gate, but for what is mended before it is asked: by stages that run,
        and by giving files that a crash left staged their names."""
        protect = self._request.protects(stage)
        asked = self._gate.ask(stage, self._ledger, protect_own=protect).reasons
        reasons = [
            each
            for each in asked
            if self._fates.get(each.stage) not in WILL_RUN
            and not self._is_unnamed(each)
            and each.stage not in self._skipping
        ]
        blocked = [
            name
            for name in stage.needs
            if self._fates[name] is Fate.BLOCKED and name not in self._skipping
        ]
        if blocked and not reasons:
            return [each for each in asked if each.stage in blocked] or list(asked)
        return reasons

    def _is_unnamed(self, reason: Reason) -> bool:
        record = self._ledger.current(reason.stage) if reason.stage in self._plan.names else None
        is_of_file = reason.code in OF_FILES
        return is_of_file and record is not None and not self._ledger.is_named(record)

    def _changes(self, stage: Stage, fingerprint: Fingerprint) -> tuple[Change, ...]:
        record = self._ledger.current(stage.name)
        if record is None or record.fingerprint is None:
            return ()
        changes = fingerprint.changes(record.fingerprint)
        is_open = bool(self._moving(stage))
        return tuple(
            c for c in changes if not (is_open and c.part.startswith(("inputs.", "records.")))
        )

    def _cause(self, stage: Stage, changes: tuple[Change, ...]) -> str | None:
        """Why the stage runs whatever comes before it; None where it may be reused."""
        record = self._ledger.current(stage.name)
        if self._request.forces(stage):
            return "forced"
        if record is None:
            state = self._ledger.state(stage.name)
            return "was interrupted" if state is StageState.RUNNING else "has not run yet"
        if changes:
            return f"changed: {', '.join(change.part for change in changes)}"
        return self._outcome_again(stage, record)

    def _outcome_again(self, stage: Stage, record: StageRecord) -> str | None:
        if record.status is StageState.FAILED:
            return f"failed before: {record.error.message if record.error else 'no reason'}"
        if record.status is StageState.SKIPPED:
            return f"asked again, was skipped: {record.reason}"
        if not self._ledger.is_named(record):
            return None
        is_moving = bool(self._moving(stage))
        is_whole = self._gate.has_whole_files(record) and (
            is_moving or self._gate.is_sound(record, self._ledger)
        )
        return None if is_whole else "its files or records are not whole"
