"""Staging: what attempts are making, before it is seen under the run's own names.

    attempts/{stage}.a{n}           a note that it is at work: a link to its runner's lease
    attempts/{stage}.a{n}.{path}    a file of the attempt, its path in one word (percent-encoded)

One flat folder, so that one sync makes all names of an attempt durable. A note is a link, and no
file of its own, since file systems are slow to make files where many were removed just now.
"""

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from filmgate.core.gates import FileFacts
from filmgate.core.manifest import OpenAttempt
from filmgate.store.durable import (
    HashingWriter,
    inside,
    link_only,
    new_file,
    sync_file,
    sync_folder,
)
from filmgate.store.lease import read_info

_ENTRY = re.compile(r"(?P<stage>[^.]+)\.a(?P<number>[1-9][0-9]{0,5})(\.(?P<path>.+))?")


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
    """The folder `attempts/` of one run."""

    def __init__(self, folder: Path, stages: Iterable[str], otherwise: datetime) -> None:
        self.folder = folder
        self._stages = frozenset(stages)
        self._otherwise = otherwise

    def begin(self, opened: OpenAttempt, lease: Path) -> FolderAttempt:
        """Note that an attempt was opened under a lease; Conflict where one of that number is."""
        if not self.folder.is_dir():
            self.folder.mkdir()
            sync_folder(self.folder.parent)
        link_only(lease, self._note(opened.stage, opened.attempt))
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
        """Every attempt that left anything here, in order."""
        entries = list(self._entries())
        makers = {key for key, name in entries if name != self._note(*key).name}
        return [
            OpenAttempt(
                stage=stage,
                attempt=number,
                has_files=(stage, number) in makers,
                **self._start(stage, number),
            )
            for stage, number in sorted({key for key, _ in entries})
        ]

    def resume(self, opened: OpenAttempt) -> FolderAttempt:
        """An attempt that somebody else left behind."""
        return FolderAttempt(self, opened)

    def drop(self, stage: str, number: int) -> None:
        """Remove all that an attempt left here, its note last."""
        mine = [name for key, name in self._entries() if key == (stage, number)]
        for name in sorted(mine, reverse=True):
            (self.folder / name).unlink(missing_ok=True)

    def _note(self, stage: str, number: int) -> Path:
        return self.folder / f"{stage}.a{number}"

    def _start(self, stage: str, number: int) -> dict[str, Any]:
        """The epoch of an attempt, and when its runner took the run: it began then, or later.

        A note that is lost or cannot be read (power loss) says epoch 1, at the run's start.
        """
        note = read_info(self._note(stage, number))
        since = "started" if "started" in note else "since"  # an earlier version's notes say it
        try:
            return {"epoch": int(note["epoch"]), "started": datetime.fromisoformat(note[since])}
        except (ValueError, KeyError, TypeError, OverflowError):
            return {"epoch": 1, "started": self._otherwise}

    def _entries(self) -> Iterator[tuple[tuple[str, int], str]]:
        """((stage, attempt), name) of everything here that is an attempt's."""
        try:
            with os.scandir(self.folder) as found:
                names = [entry.name for entry in found if not entry.is_dir(follow_symlinks=False)]
        except FileNotFoundError:
            return
        for name in names:
            entry = _ENTRY.fullmatch(name)
            if entry and entry["stage"] in self._stages:
                yield (entry["stage"], int(entry["number"])), name
