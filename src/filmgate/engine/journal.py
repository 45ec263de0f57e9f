"""The journal: what a run says while it goes, to its logs, its live view and an observer."""

import time
from collections.abc import Mapping
from typing import Any

from filmgate.core.ports import Clock, Observer, RunDirectory
from filmgate.core.states import StageState

SHOW_EVERY_S = 0.5


class Journal:
    """Tells of one invocation. Advisory: nothing in it decides anything."""

    def __init__(self, run: RunDirectory, observer: Observer, clock: Clock) -> None:
        self._run = run
        self._observer = observer
        self._clock = clock
        self._shown = 0.0

    def started(self, stage: str, attempt: int) -> None:
        """The work of a stage begins."""
        self.event(stage, "stage.started", attempt=attempt)
        self._show(stage, StageState.RUNNING, done=0, total=None)
        self._observer.stage_started(stage)

    def progress(self, stage: str, done: float, total: float | None) -> None:
        """The work is so far; passed on at once, written now and then."""
        self._observer.stage_progress(stage, done, total)
        if time.monotonic() - self._shown >= SHOW_EVERY_S:
            self._show(stage, StageState.RUNNING, done=done, total=total)

    def warned(self, stage: str, warning: Mapping[str, Any]) -> None:
        """The stage wants something known."""
        self.event(stage, "stage.warning", level="warning", **warning)

    def ended(
        self, stage: str, state: StageState, note: str, *, reused: bool = False, **fields: Any
    ) -> None:
        """One summary line a stage."""
        level = "error" if state in {StageState.FAILED, StageState.BLOCKED} else "info"
        event = "stage.reused" if reused else "stage.ended"
        self.event(stage, event, level=level, status=state.value, note=note, **fields)
        self._show(stage, state, done=None, total=None)
        self._observer.stage_ended(stage, state, note, reused=reused)

    def event(self, stage: str, event: str, *, level: str = "info", **fields: Any) -> None:
        """One line of the stage's log."""
        self._run.log(
            stage, {"at": self._clock().isoformat(), "level": level, "event": event, **fields}
        )

    def _show(
        self, stage: str, state: StageState, *, done: float | None, total: float | None
    ) -> None:
        self._shown = time.monotonic()
        self._run.show(
            {
                "stage": stage,
                "status": state.value,
                "done": done,
                "total": total,
                "heartbeat": self._clock().isoformat(),
                "is_derived": True,
                "derived_from": "the runner's last word; manifest.json holds what is committed",
            }
        )
