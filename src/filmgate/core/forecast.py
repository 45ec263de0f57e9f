"""A forecast: what an invocation would do with each stage, and why."""

from enum import StrEnum

from filmgate.core.gates import Reason
from filmgate.core.records import Change, Record


class Fate(StrEnum):
    """What awaits a stage."""

    REUSE = "reuse"
    """It is up to date."""
    RUN = "run"
    PERHAPS = "perhaps"
    """What it stands on runs; it does too, unless the bytes come out equal."""
    SKIP = "skip"
    """It is switched off."""
    BLOCKED = "blocked"
    LEFT = "left"
    """It was not asked for."""


class StageForecast(Record):
    """What awaits one stage."""

    stage: str
    fate: Fate
    why: str
    changes: tuple[Change, ...] = ()
    """Parts of its fingerprint that are not what they were."""
    reasons: tuple[Reason, ...] = ()
    """Why its gate is closed."""


class Forecast(Record):
    """What an invocation would do; nothing was run or written."""

    pipeline: str
    asset_id: str
    run_id: str | None
    """None where a new run would be begun."""
    stages: tuple[StageForecast, ...]
