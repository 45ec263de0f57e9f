"""The states of stages and runs, and how several views of one stage are merged."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class StageState(StrEnum):
    """State of a stage. BLOCKED is the verdict of an invocation and is never stored in a record."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    SUCCESS = "SUCCESS"
    FAILED = "FAILED"
    BLOCKED = "BLOCKED"
    SKIPPED = "SKIPPED"


class RunState(StrEnum):
    """State of a run, always derived from its stages and its lease."""

    RUNNING = "RUNNING"
    SUCCESS = "SUCCESS"
    FAILED = "FAILED"
    INCOMPLETE = "INCOMPLETE"


_RANK = {
    StageState.PENDING: 0,
    StageState.RUNNING: 1,
    StageState.FAILED: 2,
    StageState.SKIPPED: 2,
    StageState.SUCCESS: 3,
}


@dataclass(frozen=True, kw_only=True)
class StageView:
    """The state of a stage according to one source: a record or an attempt's folder."""

    state: StageState
    attempt: int
    epoch: int

    def __post_init__(self) -> None:
        if self.state not in _RANK:
            raise ValueError(
                f"{self.state} is a gate's verdict; expected the state of a record or attempt"
            )

    @property
    def precedence(self) -> tuple[int, int, int, str]:
        """Sort key; the greatest key wins. The state's name only orders FAILED and SKIPPED."""
        return (self.attempt, self.epoch, _RANK[self.state], self.state.value)


UNSEEN = StageView(state=StageState.PENDING, attempt=0, epoch=0)


def merge(views: Iterable[StageView]) -> StageView:
    """Merge views of a stage; their order and repetition do not matter (a semilattice join)."""
    return max(views, key=lambda view: view.precedence, default=UNSEEN)


def run_state(stages: Iterable[StageState], *, is_held: bool) -> RunState:
    """Derive a run's state from the states of all its stages; `is_held`: its lease is taken."""
    states = set(stages)
    if is_held:
        return RunState.RUNNING
    if states <= {StageState.SUCCESS, StageState.SKIPPED}:
        return RunState.SUCCESS
    if states & {StageState.FAILED, StageState.BLOCKED}:
        return RunState.FAILED
    return RunState.INCOMPLETE
