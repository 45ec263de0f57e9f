"""Progress bars with an estimate of the remaining time, on stderr."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from filmgate.cli.output import STATE_STYLES, stderr_console
from filmgate.cli.text import printable
from filmgate.core.states import StageState

READING = "hashing the input"


class StageProgress:
    """Implementation of the port `Observer` that shows progress on stderr."""

    def __init__(self, progress: Progress, *, quiet: bool) -> None:
        self._progress = progress
        self._quiet = quiet
        self._tasks: dict[str, TaskID] = {}

    def hashed(self, done: float, total: float) -> None:
        """Show how much of the input has been hashed."""
        self.stage_progress(READING, done, total)
        if done >= total:
            self._drop(READING)

    def stage_started(self, stage: str) -> None:
        """Add a progress bar for a stage."""
        self._drop(stage)
        self._tasks[stage] = self._progress.add_task(stage, total=None)

    def stage_progress(self, stage: str, done: float, total: float | None) -> None:
        """Update the progress bar of a stage."""
        if stage not in self._tasks:
            self._tasks[stage] = self._progress.add_task(stage, total=total)
        self._progress.update(self._tasks[stage], completed=done, total=total)

    def stage_ended(self, stage: str, state: StageState, note: str, *, reused: bool) -> None:
        """Replace the progress bar of a stage with a line that states the result."""

        self._drop(stage)
        if not self._quiet:
            result = "up to date" if reused and state is StageState.SUCCESS else printable(note)
            word = f"[{STATE_STYLES[state.value]}]{state.value:8}[/]"
            self._progress.console.print(f"  {word} {stage:14} {escape(result)}")

    def _drop(self, stage: str) -> None:
        task = self._tasks.pop(stage, None)
        if task is not None:
            self._progress.remove_task(task)


@contextmanager
def stage_progress(*, quiet: bool = False) -> Iterator[StageProgress]:
    """Show progress during a block; bars are shown only if stderr is a terminal."""

    columns = (
        TextColumn("  {task.description:18}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeRemainingColumn(),
    )
    console = stderr_console()
    disable = not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=disable) as progress:
        yield StageProgress(progress, quiet=quiet)
