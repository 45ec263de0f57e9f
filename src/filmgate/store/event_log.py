"""The event logs of a run: `logs/{stage}.ndjson`, written in one write a line, read at any time."""

import json
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from filmgate.store.run_directory import LOGS, FolderRun

POLL_S = 0.2


def read_events(run: FolderRun, stages: Iterable[str], *, follow: bool) -> Iterator[str]:
    """Whole lines of the stages' logs, in order of time; `follow` goes on to the run's end."""
    readers = [_Tail(run.folder / LOGS / f"{stage}.ndjson") for stage in stages]
    while True:
        is_running = follow and run.is_held()
        lines = [line for reader in readers for line in reader.new_lines()]
        yield from sorted(lines, key=_moment)
        if not is_running:
            return
        time.sleep(POLL_S)


class _Tail:
    """Reads what was appended to a file since the last time; a torn last line waits."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def new_lines(self) -> list[str]:
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return []
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        return whole.decode("utf-8", errors="replace").split("\n")[:-1]


def _moment(line: str) -> str:
    """When it happened; a line that was torn by a crash comes first."""
    try:
        return str(json.loads(line)["at"])
    except (ValueError, KeyError, TypeError):
        return ""
