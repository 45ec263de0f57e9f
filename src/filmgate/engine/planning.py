"""Planning: what an invocation would do with each stage, without doing it."""

from filmgate.core.forecast import Fate, StageForecast
from filmgate.core.gates import Reason
from filmgate.core.manifest import Ledger
from filmgate.core.payloads.registry import Registry
from filmgate.core.plan import Plan, Stage
from filmgate.core.ports import RunDirectory
from filmgate.core.records import Change, StageRecord
from filmgate.core.states import StageState
from filmgate.engine.gatekeeper import Gatekeeper
from filmgate.engine.inputs import Inputs
from filmgate.engine.invocation import Request

WILL_RUN = frozenset({Fate.RUN, Fate.PERHAPS})


def foresee(
    plan: Plan, run: RunDirectory, inputs: Inputs, request: Request, registry: Registry
) -> tuple[StageForecast, ...]:
    """What `request` would do with every stage of an existing run."""
    return tuple(_Foresight(plan, run, inputs, request, registry).all())


def foresee_new(plan: Plan, request: Request) -> tuple[StageForecast, ...]:
    """What `request` would do with every stage of a run that is not there yet."""
    asked = {each.name for each in plan.stages if request.concerns(plan, each)}
    return tuple(
        StageForecast(stage=name, fate=Fate.RUN, why="a new run")
        if name in asked
        else StageForecast(stage=name, fate=Fate.LEFT, why="not asked for")
        for name in plan.names
    )


class _Foresight:
    def __init__(
        self, plan: Plan, run: RunDirectory, inputs: Inputs, request: Request, registry: Registry
    ) -> None:
        self._plan = plan
        self._request = request
        self._ledger: Ledger = run.ledger()
        self._gate = Gatekeeper(plan, run, inputs, registry)
        self._fates: dict[str, Fate] = {}

    def all(self) -> list[StageForecast]:
        forecasts = []
        for stage in self._plan.stages:
            forecast = self._of(stage)
            self._fates[stage.name] = forecast.fate
            forecasts.append(forecast)
        return forecasts

    def _of(self, stage: Stage) -> StageForecast:
        if not self._request.concerns(self._plan, stage):
            return StageForecast(stage=stage.name, fate=Fate.LEFT, why="not asked for")
        if reasons := self._reasons(stage):
            codes = ", ".join(dict.fromkeys(reason.code.value for reason in reasons))
            return StageForecast(
                stage=stage.name, fate=Fate.BLOCKED, why=codes, reasons=tuple(reasons)
            )
        changes = self._changes(stage)
        if why := self._cause(stage, changes):
            return StageForecast(stage=stage.name, fate=Fate.RUN, why=why, changes=changes)
        if moving := [name for name in stage.stands_on if self._fates[name] in WILL_RUN]:
            why = f"unless {', '.join(moving)} makes the same bytes again"
            return StageForecast(stage=stage.name, fate=Fate.PERHAPS, why=why)
        return StageForecast(stage=stage.name, fate=Fate.REUSE, why="up to date")

    def _reasons(self, stage: Stage) -> list[Reason]:
        """What closes the gate, but for what is mended by stages that run before."""
        protect = self._request.protects(stage)
        asked = self._gate.ask(stage, self._ledger, protect_own=protect).reasons
        reasons = [each for each in asked if self._fates.get(each.stage) not in WILL_RUN]
        blocked = [name for name in stage.stands_on if self._fates[name] is Fate.BLOCKED]
        if blocked and not reasons:
            return [each for each in asked if each.stage in blocked] or list(asked)
        return reasons

    def _changes(self, stage: Stage) -> tuple[Change, ...]:
        record = self._ledger.current(stage.name)
        if record is None or record.fingerprint is None:
            return ()
        changes = self._gate.fingerprint(stage, self._ledger).changes(record.fingerprint)
        is_open = any(self._fates[name] in WILL_RUN for name in stage.stands_on)
        return tuple(c for c in changes if not (is_open and c.part.startswith("inputs.")))

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
        if any(self._fates[name] in WILL_RUN for name in stage.stands_on):
            return None
        fingerprint = self._gate.fingerprint(stage, self._ledger)
        is_whole = self._gate.is_up_to_date(stage, self._ledger, fingerprint)
        return None if is_whole else "its files or records are not whole"
