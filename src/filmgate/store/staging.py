"""Staging: the files of attempts before they are moved to the run's root.

    attempts/{stage}.a{n}           the marker of an open attempt: a link to its runner's lease.json
    attempts/{stage}.a{n}.{path}    a file of the attempt, with its path percent-encoded

All entries are in one flat folder, so that one sync makes all names of an attempt durable. The
marker is a link, because file systems are slow to create a file in a folder from which many files
were removed shortly before.
"""

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

from filmgate.core.gates import FileFacts
from filmgate.core.manifest import UnrecordedAttempt
from filmgate.store.durable import (
    HashingWriter,
    link_exclusive,
    new_file,
    safe_join,
    sync_file,
    sync_folder,
)
from filmgate.store.lease import read_info

_ENTRY = re.compile(r"(?P<stage>[^.]+)\.a(?P<number>[1-9][0-9]{0,5})(\.(?P<path>.+))?")


class FolderAttempt:
    """One attempt in the staging folder: its start time, and the files made so far."""

    def __init__(self, staging: "Staging", opened: UnrecordedAttempt) -> None:
        self._staging = staging
        self._facts: dict[str, FileFacts] = {}
        self.stage = opened.stage
        self.number = opened.attempt
        self.started = opened.started

    @contextmanager
    def create(self, path: str) -> Iterator[HashingWriter]:
        """Create a file; it is removed if the block raises, and durable after the commit."""
        safe_join(self._staging.folder, path)
        with new_file(self.staging_path(path), durable=False) as writer:
            yield writer
        self._facts[path] = writer.facts

    def staging_path(self, path: str) -> Path:
        """Path of a file until the attempt is committed."""
        return self._staging.staging_path(self.stage, self.number, path)

    def facts(self, path: str) -> FileFacts | None:
        """Size and digest of a file, as computed while it was written; None if it was not made."""
        return self._facts.get(path)


class Staging:
    """The folder `attempts/` of one run."""

    def __init__(self, folder: Path, stages: Iterable[str], default_start: datetime) -> None:
        self.folder = folder
        self._stages = frozenset(stages)
        self._default_start = default_start

    def begin(self, opened: UnrecordedAttempt, lease: Path) -> FolderAttempt:
        """Add the marker of an attempt, a link to `lease`; raise Conflict if the marker exists."""
        if not self.folder.is_dir():
            self.folder.mkdir()
            sync_folder(self.folder.parent)
        link_exclusive(lease, self._marker(opened.stage, opened.attempt))
        return FolderAttempt(self, opened)

    def staging_path(self, stage: str, number: int, path: str) -> Path:
        """Path of a file of an attempt, until the attempt is committed."""
        return self.folder / f"{stage}.a{number}.{quote(path, safe='')}"

    def sync(self, stage: str, number: int, paths: Iterable[str]) -> None:
        """Make the bytes of an attempt's files durable, then their names."""
        files = [self.staging_path(stage, number, path) for path in paths]
        for file in files:
            sync_file(file)
        if files:
            sync_folder(self.folder)

    def list_attempts(self) -> list[UnrecordedAttempt]:
        """Every attempt that has a marker or a file here, sorted by stage and number."""
        entries = list(self._entries())
        with_files = {key for key, name in entries if name != self._marker(*key).name}
        return [
            self._unrecorded(stage, number, has_files=(stage, number) in with_files)
            for stage, number in sorted({key for key, _ in entries})
        ]

    def drop(self, stage: str, number: int) -> None:
        """Remove all entries of an attempt, its marker last."""
        names = [name for key, name in self._entries() if key == (stage, number)]
        for name in sorted(names, reverse=True):
            (self.folder / name).unlink(missing_ok=True)

    def _marker(self, stage: str, number: int) -> Path:
        return self.folder / f"{stage}.a{number}"

    def _unrecorded(self, stage: str, number: int, *, has_files: bool) -> UnrecordedAttempt:
        """Read an attempt's marker: epoch, and when its runner took the lease, which is not later.

        If the marker was lost in a power loss or cannot be read: epoch 1, and the time when the run
        was created.
        """
        info = read_info(self._marker(stage, number))
        since = "started" if "started" in info else "since"  # earlier versions have `started`
        try:
            epoch, started = int(str(info["epoch"])), datetime.fromisoformat(str(info[since]))
        except (ValueError, KeyError, TypeError, OverflowError):
            epoch, started = 1, self._default_start
        return UnrecordedAttempt(
            stage=stage, attempt=number, has_files=has_files, epoch=epoch, started=started
        )

    def _entries(self) -> Iterator[tuple[tuple[str, int], str]]:
        """Yield ((stage, attempt), name) of every entry that belongs to an attempt."""
        try:
            with os.scandir(self.folder) as found:
                names = [entry.name for entry in found if not entry.is_dir(follow_symlinks=False)]
        except FileNotFoundError:
            return
        for name in names:
            entry = _ENTRY.fullmatch(name)
            if entry and entry["stage"] in self._stages:
                yield (entry["stage"], int(entry["number"])), name
