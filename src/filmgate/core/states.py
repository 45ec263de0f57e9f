"""The states of stages and runs, and how two views of one stage become one."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class StageState(StrEnum):
    """Where a stage stands. BLOCKED is the verdict of an invocation, never stored as an outcome."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    SUCCESS = "SUCCESS"
    FAILED = "FAILED"
    BLOCKED = "BLOCKED"
    SKIPPED = "SKIPPED"


class RunState(StrEnum):
    """Where a run stands; always derived from its stages and its lease."""

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
    """What one witness (a record, an attempt's folder) says of a stage."""

    state: StageState
    attempt: int
    epoch: int

    def __post_init__(self) -> None:
        if self.state not in _RANK:
            raise ValueError(f"{self.state} is a verdict, not a view of a stage")

    @property
    def weight(self) -> tuple[int, int, int, str]:
        """What decides between two views; the name only breaks the tie FAILED / SKIPPED."""
        return (self.attempt, self.epoch, _RANK[self.state], self.state.value)


UNSEEN = StageView(state=StageState.PENDING, attempt=0, epoch=0)


def merge(views: Iterable[StageView]) -> StageView:
    """The join of all views: the same in whatever order they arrive, however often."""
    return max(views, key=lambda view: view.weight, default=UNSEEN)


def run_state(stages: Iterable[StageState], *, is_held: bool) -> RunState:
    """The run's state, from the states of all stages of its plan."""
    states = set(stages)
    if is_held:
        return RunState.RUNNING
    if states <= {StageState.SUCCESS, StageState.SKIPPED}:
        return RunState.SUCCESS
    if states & {StageState.FAILED, StageState.BLOCKED}:
        return RunState.FAILED
    return RunState.INCOMPLETE
