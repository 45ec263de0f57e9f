"""Staging: what attempts are making, before it is seen under the run's own names.

    attempts.ndjson                 notes: a line where an attempt begins, one where it has ended
    attempts/{stage}.a{n}.{path}    a file of an attempt, its path in one word (percent-encoded)

One flat folder, so that one sync makes all names of an attempt durable. One file of notes, since
to make and remove a file for each attempt costs more than all else that a gate does.
"""

import json
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from filmgate.core.digest import canonical_json
from filmgate.core.gates import FileFacts
from filmgate.core.manifest import OpenAttempt
from filmgate.store.durable import (
    HashingWriter,
    append_line,
    inside,
    new_file,
    read_bytes,
    sync_file,
    sync_folder,
)

ATTEMPTS = "attempts"
NOTES = "attempts.ndjson"

_STAGED = re.compile(r"(?P<stage>[^.]+)\.a(?P<number>[1-9][0-9]{0,5})(\..+)?")

Key = tuple[str, int]
"""An attempt: its stage, and its number."""


class FolderAttempt:
    """One attempt in the staging folder: when it began, and the files made so far."""

    def __init__(self, staging: "Staging", opened: OpenAttempt) -> None:
        self._staging = staging
        self._facts: dict[str, FileFacts] = {}
        self.stage = opened.stage
        self.number = opened.attempt
        self.started = opened.started

    @contextmanager
    def create(self, path: str) -> Iterator[HashingWriter]:
        """Make a file, once; gone when the block ends badly. Durable when it is committed."""
        inside(self._staging.folder, path)
        with new_file(self.place(path), durable=False) as writer:
            yield writer
        self._facts[path] = writer.facts

    def place(self, path: str) -> Path:
        """Where a file is while it is being made."""
        return self._staging.place(self.stage, self.number, path)

    def facts(self, path: str) -> FileFacts | None:
        """Size and digest of a file that was made, as taken while writing."""
        return self._facts.get(path)


class Staging:
    """The attempts of one run: their notes, and the folder in which they make files."""

    def __init__(self, run: Path, stages: Iterable[str], otherwise: datetime) -> None:
        self.folder = run / ATTEMPTS
        self._notes = run / NOTES
        self._stages = frozenset(stages)
        self._otherwise = otherwise
        self._read = b""
        self._open: dict[Key, dict[str, Any]] = {}
        """What `_read`, the part of the notes that was read before, leaves open."""

    def begin(self, opened: OpenAttempt) -> FolderAttempt:
        """Note that an attempt was opened."""
        if not self.folder.is_dir():
            self.folder.mkdir()
            sync_folder(self.folder.parent)
        began = {"epoch": opened.epoch, "started": opened.started.isoformat()}
        self._note(opened.stage, opened.attempt, began)
        return FolderAttempt(self, opened)

    def place(self, stage: str, number: int, path: str) -> Path:
        """Where a file of an attempt is made."""
        return self.folder / f"{stage}.a{number}.{quote(path, safe='')}"

    def sync(self, stage: str, number: int, paths: Iterable[str]) -> None:
        """Make files of an attempt durable, then their names."""
        places = [self.place(stage, number, path) for path in paths]
        for place in places:
            sync_file(place)
        if places:
            sync_folder(self.folder)

    def opened(self) -> list[OpenAttempt]:
        """Every attempt that began and has not ended, or left a file here, in order."""
        noted = self._noted()
        there = {*noted, *(key for key, _ in self._staged())}
        return [
            OpenAttempt(stage=stage, attempt=number, **self._start(noted.get((stage, number), {})))
            for stage, number in sorted(there)
        ]

    def resume(self, opened: OpenAttempt) -> FolderAttempt:
        """An attempt that somebody else left behind."""
        return FolderAttempt(self, opened)

    def drop(self, stage: str, number: int) -> None:
        """Remove all that an attempt left here, then note that it has ended."""
        for key, name in self._staged():
            if key == (stage, number):
                (self.folder / name).unlink(missing_ok=True)
        self._note(stage, number, {"ended": True})

    def tidy(self) -> None:
        """Take the notes away once all that they tell of has ended; also where they are a link,
        through which nothing is written."""
        if not self._noted() or self._notes.is_symlink():
            self._notes.unlink(missing_ok=True)

    def _note(self, stage: str, number: int, said: dict[str, Any]) -> None:
        line = canonical_json({"stage": stage, "attempt": number, **said})
        append_line(self._notes, b"\n" + line)  # what was torn before it stays alone

    def _noted(self) -> dict[Key, dict[str, Any]]:
        """The notes of attempts that have not ended. A power loss may tear notes or take them
        away; the names of staged files tell of the attempt then."""
        try:
            notes = read_bytes(self._notes)
        except FileNotFoundError:
            return {}
        if not notes.startswith(self._read):
            self._read, self._open = b"", {}
        for line in notes[len(self._read) :].splitlines():
            try:
                said = json.loads(line)
                key = said["stage"], int(said["attempt"])
            except (ValueError, KeyError, TypeError):
                continue
            if "ended" in said:
                self._open.pop(key, None)
            elif key[0] in self._stages:
                self._open[key] = said
        self._read = notes[: notes.rfind(b"\n") + 1]  # the last may be torn: it is read again
        return self._open

    def _start(self, note: dict[str, Any]) -> dict[str, Any]:
        """Epoch and start of an attempt; epoch 1, at the run's start, where its note was lost."""
        try:
            return {"epoch": int(note["epoch"]), "started": datetime.fromisoformat(note["started"])}
        except (ValueError, KeyError, TypeError):
            return {"epoch": 1, "started": self._otherwise}

    def _staged(self) -> Iterator[tuple[Key, str]]:
        """(attempt, name) of every file here that is an attempt's."""
        try:
            with os.scandir(self.folder) as found:
                names = [entry.name for entry in found if not entry.is_dir(follow_symlinks=False)]
        except FileNotFoundError:
            return
        for name in names:
            staged = _STAGED.fullmatch(name)
            if staged and staged["stage"] in self._stages:
                yield (staged["stage"], int(staged["number"])), name
