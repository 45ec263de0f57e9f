"""Fresh places, and what is measured in them."""

import itertools
import shutil
import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from peers.install import programs
from peers.peer import Peer, right
from peers.place import Place, ToolFailedError

SHORT, LONG = 6, 60


class Site:
    """Where places are made, one after the other."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = itertools.count(1)

    @contextmanager
    def place(self, peer: Peer, steps: int) -> Iterator[Place]:
        """A fresh place with the tool's project in it; gone afterwards."""
        folder = self._folder / f"{peer.folder}{next(self._numbers)}"
        folder.mkdir()
        place = Place(
            folder=folder,
            steps=steps,
            programs=programs(peer.folder),
            environment=peer.environment,
        )
        try:
            peer.prepare(place)
            yield place
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def green(peer: Peer, place: Place) -> float:
    """Seconds of a first run; ToolFailedError unless each step ran once and all came out right."""
    seconds = place.run_well(peer.run(place)).seconds
    ran = place.steps_run()
    if ran != list(range(place.steps)):
        raise ToolFailedError(f"steps {ran} ran, each was to run once, in order")
    found = peer.result(place)
    if found is None or found[1] != right(place.last):
        raise ToolFailedError("the result of the first run is not right")
    return seconds


@dataclass
class Times:
    """Seconds by chain length, one entry a round, and how many steps ran the second time."""

    first: dict[int, list[float]] = field(default_factory=dict)
    again: dict[int, list[float]] = field(default_factory=dict)
    ran_again: int = 0

    def median(self, runs: dict[int, list[float]], steps: int) -> float:
        """The middle of the rounds."""
        return statistics.median(runs[steps])

    def per_step(self, runs: dict[int, list[float]]) -> float:
        """Seconds that one more step costs."""
        return (self.median(runs, LONG) - self.median(runs, SHORT)) / (LONG - SHORT)


def time_once(peer: Peer, site: Site, times: Times, steps: int) -> None:
    """One first run and one second run of a fresh chain."""
    with site.place(peer, steps) as place:
        times.first.setdefault(steps, []).append(green(peer, place))
        times.again.setdefault(steps, []).append(place.run_well(peer.run(place)).seconds)
        times.ran_again = len(place.steps_run()) if steps == SHORT else times.ran_again
