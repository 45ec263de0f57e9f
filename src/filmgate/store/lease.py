"""The lease on a run: a lock that dies with its holder, and an epoch that only rises."""

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

from filmgate.core.errors import Held
from filmgate.store.durable import read_bytes, replace_file, stat_mark

LOCK_NAME = "lease.lock"
INFO_NAME = "lease.json"
GLANCE_S = 0.1
"""Whoever only asks whether a run is held holds its lock for a blink; that is no runner."""

POLL_S = 0.005


class FolderLease:
    """The right to work on the run in one folder.

    `lock` is the descriptor of the lock. A child that inherits it keeps the run held until it ends.
    """

    def __init__(self, folder: Path, epoch: int, lock: int, token: str) -> None:
        self.folder = folder
        self.epoch = epoch
        self.lock = lock
        self._token = token
        self._info = folder / INFO_NAME
        self._mark = self._mark_now()

    def check(self) -> None:
        """Raise Held where the epoch has passed to another holder."""
        with suppress(OSError):
            if self._mark_now() == self._mark:
                return
        info = read_info(self._info)
        if info.get("token") != self._token:
            raise Held(
                "the lease on this run passed to another runner",
                expected=f"epoch {self.epoch}",
                got=f"epoch {info.get('epoch')}",
                hint="Nothing was written; see filmgate status",
            )

    def _mark_now(self) -> tuple[int, ...]:
        """The mark of `lease.json`, but for its inode's time of change: attempts link to it."""
        return stat_mark(self._info)[:-1]


@contextmanager
def hold(folder: Path, now: datetime, above: int = 0) -> Iterator[FolderLease]:
    """Hold the lease for a block; raise Held at once where another runner has it.

    `above`: an epoch that is known to have been given, should `lease.json` be lost: it is not
    flushed, since a power loss ends every holder.
    """
    with _locked(folder) as lock:
        epoch = max(epoch_of(read_info(folder / INFO_NAME)), above) + 1
        token = uuid4().hex
        info = {
            "epoch": epoch,
            "token": token,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "since": now.isoformat(),
        }
        replace_file(folder / INFO_NAME, json.dumps(info).encode(), durable=False)
        yield FolderLease(folder=folder, epoch=epoch, lock=lock.fileno(), token=token)


@contextmanager
def _locked(folder: Path) -> Iterator[IO[bytes]]:
    """The lock file, locked, and still the one that goes by its name."""
    deadline = time.monotonic() + GLANCE_S
    while True:
        with (folder / LOCK_NAME).open("a+b") as lock:
            while not _taken(lock, fcntl.LOCK_EX):
                if time.monotonic() > deadline:
                    raise _held(folder)
                time.sleep(POLL_S)
            if _is_named(lock, folder / LOCK_NAME):
                yield lock
                return


def _is_named(lock: IO[bytes], path: Path) -> bool:
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(lock.fileno()), path.stat())
    return False


def is_held(folder: Path) -> bool:
    """Whether a runner holds the lease at this moment; where nobody ever held it, nobody does."""
    path = folder / LOCK_NAME
    if not path.exists():
        return False
    with path.open("rb") as lock:
        return not _taken(lock, fcntl.LOCK_SH)


def _taken(lock: IO[bytes], kind: int) -> bool:
    """Take the lock, exclusive or shared, if that needs no waiting."""
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _held(folder: Path) -> Held:
    info = read_info(folder / INFO_NAME)
    return Held(
        "another runner works on this run",
        expected="no holder of its lease",
        got=f"process {info.get('pid')} on {info.get('host')}, since {info.get('since')}",
        hint="Wait for it, or stop it; a lease dies with its process",
        holder=info,
    )


def epoch_of(info: Mapping[str, Any]) -> int:
    """The epoch that `lease.json` names; 0 where it names none."""
    epoch = info.get("epoch")
    return epoch if isinstance(epoch, int) else 0


def read_info(path: Path) -> dict[str, Any]:
    """Who holds the lease, or held it when the note was linked; nothing where that cannot be
    read."""
    if not path.is_file():
        return {}
    try:
        info = json.loads(read_bytes(path))
    except (FileNotFoundError, ValueError, RecursionError):
        return {}
    return info if isinstance(info, dict) else {}
