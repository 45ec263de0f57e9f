"""Receivers of progress: the progress callback, and the implementations that ignore progress."""

from collections.abc import Callable

from filmgate.core.states import StageState

ProgressCallback = Callable[[float, float], None]
"""Called with the amount that has been processed and the total."""


def ignore_progress(_done: float, _total: float) -> None:
    """Do nothing: a `ProgressCallback` for callers that need no progress."""


class NullObserver:
    """An implementation of the port `Observer` that ignores everything."""

    def stage_started(self, stage: str) -> None:
        """Do nothing."""

    def stage_progress(self, stage: str, done: float, total: float | None) -> None:
        """Do nothing."""

    def stage_ended(self, stage: str, state: StageState, note: str, *, reused: bool) -> None:
        """Do nothing."""
