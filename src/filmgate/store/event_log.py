"""The event logs of a run: `logs/{stage}.ndjson`, written in one write a line, read at any time."""

import heapq
import json
import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from filmgate.core.errors import UsageError
from filmgate.store.run_directory import LOGS, FolderRun

POLL_S = 0.2


def read_events(run: FolderRun, stages: Iterable[str], *, follow: bool) -> Iterator[str]:
    """Whole lines of the stages' logs, in order of time; `follow` goes on to the run's end."""
    readers = [_Tail(run.folder / LOGS / f"{stage}.ndjson") for stage in stages]
    while True:
        is_running = follow and run.is_held()
        lines = [line for reader in readers for line in reader.new_lines()]
        yield from (_readable(line) for line in sorted(lines, key=_moment))
        if not is_running:
            return
        time.sleep(POLL_S)


@dataclass(frozen=True, kw_only=True)
class LoggedLine:
    """A line of a stage's log, and where it ends there."""

    line: str
    stage: int
    """Its place among the run's stages."""
    end: int


class EventReader:
    """Reads a run's logs in pieces, from a place on; a place is where one stands in each log."""

    def __init__(self, run: FolderRun, stages: Iterable[str], after: str | None = None) -> None:
        """`after`: a place, as `place` gives it; UsageError where it is none of these logs."""
        paths = [run.folder / LOGS / f"{stage}.ndjson" for stage in stages]
        offsets = parse_place(after, len(paths)) if after is not None else [0] * len(paths)
        self._tails = [_Tail(path, offset) for path, offset in zip(paths, offsets, strict=True)]

    @property
    def place(self) -> list[int]:
        """Up to where it has read, by stage, in bytes."""
        return [tail.offset for tail in self._tails]

    def read(self, max_bytes: int) -> list[LoggedLine]:
        """The next whole lines, so many bytes of each log at most, in order of time; none where
        there are no more yet."""
        pieces = [self._piece(stage, tail, max_bytes) for stage, tail in enumerate(self._tails)]
        return list(heapq.merge(*pieces, key=lambda each: _moment(each.line)))

    @staticmethod
    def _piece(stage: int, tail: "_Tail", max_bytes: int) -> list[LoggedLine]:
        end = tail.offset
        piece = []
        for line in tail.new_lines(max_bytes):
            end += len(line.encode("utf-8", "surrogateescape")) + 1
            piece.append(LoggedLine(line=line, stage=stage, end=end))
        return piece


_PLACE = re.compile(r"\d{1,15}(\.\d{1,15})*\Z")


def parse_place(text: str, stages: int) -> list[int]:
    """A place in so many logs, as `place_text` writes it; UsageError where it is none."""
    parts = text.split(".") if _PLACE.match(text) else []
    if len(parts) != stages:
        raise UsageError(
            "this is no place in the logs of this run",
            expected="the id of an event of its stream",
            got=repr(text[:80]),
        )
    return [int(part) for part in parts]


def place_text(place: Iterable[int]) -> str:
    """A place as it is told."""
    return ".".join(map(str, place))


class _Tail:
    """Reads what was appended to a file since the last time; a torn last line waits."""

    def __init__(self, path: Path, offset: int = 0) -> None:
        self._path = path
        self.offset = offset

    def new_lines(self, max_bytes: int = -1) -> list[str]:
        try:
            with self._path.open("rb") as file:
                file.seek(self.offset)
                data = file.read(max_bytes)
                while len(data) == max_bytes and b"\n" not in data:
                    data += file.read(max_bytes)
                    max_bytes *= 2
        except FileNotFoundError:
            return []
        whole = data[: data.rfind(b"\n") + 1]
        self.offset += len(whole)
        return whole.decode("utf-8", errors="surrogateescape").split("\n")[:-1]


def _readable(line: str) -> str:
    """The line, with a mark for each byte that is no text."""
    return line.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _moment(line: str) -> str:
    """When it happened; a line that was torn by a crash comes first."""
    try:
        return str(json.loads(line)["at"])
    except (ValueError, KeyError, TypeError):
        return ""
