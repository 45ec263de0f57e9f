"""Read the event logs of a run, `logs/{stage}.ndjson`, even while they are written.

A runner writes each line with a single system call.
"""

import heapq
import json
import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from unicodedata import normalize

from filmgate.core.errors import UsageError
from filmgate.store.run_directory import LOGS, FolderRun

POLL_S = 0.2
"""Seconds between two reads of the logs of a run that is followed."""


def read_events(run: FolderRun, stages: Iterable[str], *, follow: bool) -> Iterator[str]:
    """Yield the complete lines of the stages' logs, in order of time.

    With `follow`, wait for further lines until the run ends.
    """
    readers = [_Tail(run.folder / LOGS / f"{stage}.ndjson") for stage in stages]
    while True:
        is_running = follow and run.is_held()
        lines = [line for reader in readers for line in reader.new_lines()]
        yield from (_to_printable(line) for line in sorted(lines, key=_event_time))
        if not is_running:
            return
        time.sleep(POLL_S)


def mask_words(path: Path, words: Iterable[str]) -> int:
    """Overwrite whole words in a file with asterisks; return how many were found.

    The size of the file does not change, and other processes may append to it meanwhile. Upper and
    lower case are equal. Words are also found in the form in which JSON escapes them.
    """
    spellings = {
        normalize(form, spelling)
        for word in words
        for spelling in (word, word.lower(), word.upper(), word.title())
        for form in ("NFC", "NFD")
    }
    texts = {text for each in spellings for text in (each, json.dumps(each)[1:-1])}
    forms = {text.encode() for text in texts if text}
    if not forms or not path.is_file():
        return 0
    options = b"|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True))
    pattern = re.compile(rb"(?<![0-9A-Za-z])(?:" + options + rb")(?![0-9A-Za-z])", re.IGNORECASE)
    with path.open("r+b") as file:
        matches = list(pattern.finditer(file.read()))
        for match in matches:
            file.seek(match.start())
            file.write(b"*" * len(match[0]))
    return len(matches)


@dataclass(frozen=True, kw_only=True)
class LoggedLine:
    """A line of a stage's log, and its position in the log."""

    line: str
    stage: int
    """Index of the stage in the run's list of stages."""
    end: int
    """Offset of the end of the line in the stage's log, in bytes."""


class EventReader:
    """Reads a run's logs in parts, from a given position.

    A position is a list of byte offsets, one in the log of each stage.
    """

    def __init__(self, run: FolderRun, stages: Iterable[str], after: str | None = None) -> None:
        """Start at the position `after`, as `format_position` writes it, or at the beginning.

        Raises UsageError if it is not a position in these logs.
        """
        paths = [run.folder / LOGS / f"{stage}.ndjson" for stage in stages]
        offsets = parse_position(after, len(paths)) if after is not None else [0] * len(paths)
        self._tails = [_Tail(path, offset) for path, offset in zip(paths, offsets, strict=True)]

    @property
    def position(self) -> list[int]:
        """Number of bytes that were read from the log of each stage."""
        return [tail.offset for tail in self._tails]

    def read(self, max_bytes: int) -> list[LoggedLine]:
        """Read the next complete lines, in order of time; an empty list if there are none yet.

        Reads at most `max_bytes` of each log, or one line if that is longer.
        """
        parts = [self._read_log(stage, tail, max_bytes) for stage, tail in enumerate(self._tails)]
        return list(heapq.merge(*parts, key=lambda logged: _event_time(logged.line)))

    @staticmethod
    def _read_log(stage: int, tail: "_Tail", max_bytes: int) -> list[LoggedLine]:
        end = tail.offset
        lines = []
        for line in tail.new_lines(max_bytes):
            end += len(line.encode("utf-8", "surrogateescape")) + 1
            lines.append(LoggedLine(line=line, stage=stage, end=end))
        return lines


_POSITION = re.compile(r"\d{1,15}(\.\d{1,15})*\Z")


def parse_position(text: str, stages: int) -> list[int]:
    """Parse a position in the logs of `stages` stages, as `format_position` writes it.

    Raises UsageError if it is invalid.
    """
    parts = text.split(".") if _POSITION.match(text) else []
    if len(parts) != stages:
        raise UsageError(
            "the position in the logs of the run is invalid",
            expected="the id of an event of the run's stream",
            got=repr(text[:80]),
        )
    return [int(part) for part in parts]


def format_position(position: Iterable[int]) -> str:
    """Write a position in the logs as text: the offsets, separated by dots."""
    return ".".join(map(str, position))


class _Tail:
    """Reads the lines appended to a file since the last read; an incomplete line is read later."""

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
        complete = data[: data.rfind(b"\n") + 1]
        self.offset += len(complete)
        return complete.decode("utf-8", errors="surrogateescape").split("\n")[:-1]


def _to_printable(line: str) -> str:
    """Replace each byte that is not valid UTF-8 with the replacement character."""
    return line.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _event_time(line: str) -> str:
    """Time of the event in a line. If a crash cut the line: an empty text, which sorts first."""
    try:
        return str(json.loads(line)["at"])
    except (ValueError, KeyError, TypeError):
        return ""
