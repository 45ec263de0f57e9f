"""Runs of older layouts: what they say of themselves, which nobody verified."""

from datetime import datetime
from typing import Any, Literal

from filmgate.core.records import Record
from filmgate.core.states import RunState, StageState, run_state

WORDS = {
    "success": StageState.SUCCESS,
    "succeeded": StageState.SUCCESS,
    "completed": StageState.SUCCESS,
    "complete": StageState.SUCCESS,
    "done": StageState.SUCCESS,
    "ok": StageState.SUCCESS,
    "error": StageState.FAILED,
    "failed": StageState.FAILED,
    "failure": StageState.FAILED,
    "cancelled": StageState.FAILED,
    "interrupted": StageState.FAILED,
    "skipped": StageState.SKIPPED,
    "running": StageState.RUNNING,
    "in_progress": StageState.RUNNING,
    "pending": StageState.PENDING,
    "queued": StageState.PENDING,
    "not_started": StageState.PENDING,
    "missing": StageState.PENDING,
    "stale": StageState.PENDING,
    "unknown": StageState.PENDING,
}
"""The words that markers are known to use. Hearsay: a gate never takes one for evidence."""


class LegacyStage(Record):
    """What a marker says of one stage."""

    status: StageState
    started: datetime | None
    ended: datetime | None
    error: str | None
    is_derived: Literal[True] = True
    derived_from: str


class LegacyRun(Record):
    """A run that only an older layout tells of."""

    data_source: Literal["legacy"] = "legacy"
    asset_id: str
    run_id: str | None
    """None where the layout knew one run an asset."""
    folder: str
    stages: dict[str, LegacyStage]

    @property
    def status(self) -> RunState:
        """As far as hearsay goes. Nobody holds such a run: what says it runs has died."""
        states = [stage.status for stage in self.stages.values()]
        return run_state(states, is_held=False)


def state_of_word(word: Any) -> StageState | None:
    """The state that a marker's word means; None for a word that is not known."""
    return WORDS.get(word.strip().lower().replace(" ", "_")) if isinstance(word, str) else None
