"""Forecast of an invocation: what it would do with each stage, and why."""

from enum import StrEnum

from filmgate.core.gates import Reason
from filmgate.core.records import Change, Record


class PlannedAction(StrEnum):
    """What an invocation would do with a stage."""

    REUSE = "reuse"
    """The stage is up to date."""
    RUN = "run"
    DEPENDS_ON_UPSTREAM = "perhaps"
    """An upstream stage will run. This stage runs too, unless the upstream files stay the same."""
    SKIP = "skip"
    """The stage is disabled."""
    BLOCKED = "blocked"
    NOT_SELECTED = "left"
    """The stage was not selected."""


class StageForecast(Record):
    """What an invocation would do with one stage."""

    stage: str
    fate: PlannedAction
    why: str
    changes: tuple[Change, ...] = ()
    """Parts of the stage's fingerprint that differ from its last success."""
    reasons: tuple[Reason, ...] = ()
    """Reasons why the stage's gate is closed; empty if it is open."""


class Forecast(Record):
    """What an invocation would do. Making a forecast runs and writes nothing."""

    pipeline: str
    asset_id: str
    run_id: str | None
    """None if a new run would be started."""
    stages: tuple[StageForecast, ...]
