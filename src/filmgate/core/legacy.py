"""Runs of older layouts, with states from unverified marker files."""

from datetime import datetime
from typing import Literal

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
"""Stage states by the status words of marker files. The words are not verified, and no gate depends
on them."""


class LegacyStage(Record):
    """The state of one stage according to a marker file."""

    status: StageState
    started: datetime | None
    ended: datetime | None
    error: str | None
    is_derived: Literal[True] = True
    derived_from: str


class LegacyRun(Record):
    """A run of an older layout."""

    data_source: Literal["legacy"] = "legacy"
    asset_id: str
    run_id: str | None
    """None for a layout with one run per asset."""
    folder: str
    pipeline: str
    stages: dict[str, LegacyStage]

    @property
    def status(self) -> RunState:
        """Unverified status. No runner can hold such a run, so a RUNNING stage was interrupted."""
        states = [stage.status for stage in self.stages.values()]
        return run_state(states, is_held=False)


def parse_status_word(word: object) -> StageState | None:
    """Return the state for a marker's status word; None for an unknown word."""
    return WORDS.get(word.strip().lower().replace(" ", "_")) if isinstance(word, str) else None
