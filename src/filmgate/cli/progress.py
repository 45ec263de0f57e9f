"""Progress on a terminal: a bar with an estimate for what takes longer than a moment."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from filmgate.cli.output import STATE_STYLES, printable, talk
from filmgate.core.states import StageState

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


READING = "reading the input"


class StageProgress:
    """The port `Observer`, on stderr."""

    def __init__(self, progress: "Progress", *, quiet: bool) -> None:
        self._progress = progress
        self._quiet = quiet
        self._tasks: dict[str, TaskID] = {}

    def hashed(self, done: float, total: float) -> None:
        """How much of the input has been read for its digest."""
        self.stage_progress(READING, done, total)
        if done >= total:
            self._drop(READING)

    def stage_started(self, stage: str) -> None:
        """Show a bar."""
        self._drop(stage)
        self._tasks[stage] = self._progress.add_task(stage, total=None)

    def stage_progress(self, stage: str, done: float, total: float | None) -> None:
        """Move the stage's bar."""
        if stage not in self._tasks:
            self._tasks[stage] = self._progress.add_task(stage, total=total)
        self._progress.update(self._tasks[stage], completed=done, total=total)

    def stage_ended(self, stage: str, state: StageState, note: str, *, reused: bool) -> None:
        """Leave one line behind."""
        from rich.markup import escape

        self._drop(stage)
        if not self._quiet:
            how = "up to date" if reused and state is StageState.SUCCESS else printable(note)
            word = f"[{STATE_STYLES[state.value]}]{state.value:8}[/]"
            self._progress.console.print(f"  {word} {stage:14} {escape(how)}")

    def _drop(self, stage: str) -> None:
        task = self._tasks.pop(stage, None)
        if task is not None:
            self._progress.remove_task(task)


@contextmanager
def stage_progress(*, quiet: bool = False) -> Iterator[StageProgress]:
    """Progress for the length of a block; bars only where stderr is a terminal."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("  {task.description:18}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=talk(), transient=True) as progress:
        yield StageProgress(progress, quiet=quiet)
