"""Create workspaces, and measure runs in them."""

import itertools
import shutil
import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from peers.install import programs
from peers.peer import Peer, expected_numbers
from peers.workspace import ToolFailedError, Workspace

SHORT, LONG = 6, 60
"""Numbers of steps of the measured chains."""


class WorkspaceFactory:
    """Creates workspaces below a folder, one at a time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = itertools.count(1)

    @contextmanager
    def create(self, peer: Peer, steps: int) -> Iterator[Workspace]:
        """Create a workspace with the tool's project files, and remove it after the block."""
        folder = self._folder / f"{peer.folder}{next(self._numbers)}"
        folder.mkdir()
        workspace = Workspace(
            folder=folder,
            steps=steps,
            programs=programs(peer.folder),
            environment=peer.environment,
        )
        try:
            peer.prepare(workspace)
            yield workspace
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def first_run(peer: Peer, workspace: Workspace) -> float:
    """Run the chain for the first time; return the seconds.

    Raises ToolFailedError unless each step is executed once, in order, and the result is correct.
    """
    seconds = workspace.run_successfully(peer.run(workspace)).seconds
    executed = workspace.take_executed_steps()
    if executed != list(range(workspace.steps)):
        raise ToolFailedError(f"steps {executed} were executed, expected each once, in order")
    result = peer.result(workspace)
    if result is None or result[1] != expected_numbers(workspace.last):
        raise ToolFailedError("the result of the first run is wrong")
    return seconds


@dataclass
class Times:
    """Times of first and of second runs: number of steps → seconds of each round."""

    first: dict[int, list[float]] = field(default_factory=dict)
    again: dict[int, list[float]] = field(default_factory=dict)
    executed_again: int = 0
    """Steps of the short chain that were executed in the second run."""

    def median(self, runs: dict[int, list[float]], steps: int) -> float:
        """Return the median of the rounds, in seconds."""
        return statistics.median(runs[steps])

    def per_step(self, runs: dict[int, list[float]]) -> float:
        """Return the seconds that one additional step takes."""
        return (self.median(runs, LONG) - self.median(runs, SHORT)) / (LONG - SHORT)


def time_once(peer: Peer, factory: WorkspaceFactory, times: Times, steps: int) -> None:
    """Measure a first and a second run of a chain in a new workspace."""
    with factory.create(peer, steps) as workspace:
        times.first.setdefault(steps, []).append(first_run(peer, workspace))
        second_run = workspace.run_successfully(peer.run(workspace))
        times.again.setdefault(steps, []).append(second_run.seconds)
        if steps == SHORT:
            times.executed_again = len(workspace.take_executed_steps())
