"""The lease of a run: a lock that ends with its holder, and an epoch that only rises."""

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import IO
from uuid import uuid4

from filmgate.core.digest import JsonValue
from filmgate.core.run_rules import held_error, lost_lease_error
from filmgate.store.durable import read_bytes, replace_file, stat_identity

LOCK_NAME = "lease.lock"
INFO_NAME = "lease.json"
PROBE_WAIT_S = 0.1
"""Seconds to wait for the lock, because `is_held` takes it for a moment."""

POLL_S = 0.005
"""Seconds between two tries to take the lock."""


class FolderLease:
    """The right to write to the run in one folder.

    `lock` is the file descriptor of the lock. A child process that inherits it keeps the run held
    until it ends.
    """

    def __init__(self, folder: Path, epoch: int, lock: int, token: str) -> None:
        self.folder = folder
        self.epoch = epoch
        self.lock = lock
        self._token = token
        self._info = folder / INFO_NAME
        self._identity = self._read_identity()

    def check(self) -> None:
        """Raise Held if another runner has taken the lease meanwhile."""
        with suppress(OSError):
            if self._read_identity() == self._identity:
                return
        info = read_info(self._info)
        if info.get("token") != self._token:
            raise lost_lease_error(self.epoch, info.get("epoch"))

    def _read_identity(self) -> tuple[int, ...]:
        """Identity of `lease.json` without its change time: links of attempts change that."""
        return stat_identity(self._info)[:-1]


@contextmanager
def acquire_lease(folder: Path, now: datetime, above: int = 0) -> Iterator[FolderLease]:
    """Hold the lease during a block; raise Held, after a short wait, if another runner has it.

    `above`: the highest epoch that is known to have been used. It is needed if `lease.json` is lost
    in a power loss: the file is not flushed to disk, because a power loss ends every holder.
    """
    with _locked(folder) as lock:
        epoch = max(epoch_in(read_info(folder / INFO_NAME)), above) + 1
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
    """Lock the lock file, and make sure that it was not removed or replaced meanwhile."""
    deadline = time.monotonic() + PROBE_WAIT_S
    while True:
        with (folder / LOCK_NAME).open("a+b") as lock:
            while not _try_lock(lock, fcntl.LOCK_EX):
                if time.monotonic() > deadline:
                    raise held_error(read_info(folder / INFO_NAME))
                time.sleep(POLL_S)
            if _is_file_at(lock, folder / LOCK_NAME):
                yield lock
                return


def _is_file_at(lock: IO[bytes], path: Path) -> bool:
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(lock.fileno()), path.stat())
    return False


def is_held(folder: Path) -> bool:
    """Whether a runner holds the lease now; False if it was never held."""
    path = folder / LOCK_NAME
    if not path.exists():
        return False
    with path.open("rb") as lock:
        return not _try_lock(lock, fcntl.LOCK_SH)


def _try_lock(lock: IO[bytes], kind: int) -> bool:
    """Take the lock, exclusive or shared, without waiting; return whether it was taken."""
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def epoch_in(info: Mapping[str, JsonValue]) -> int:
    """The epoch in the contents of `lease.json`; 0 if there is none."""
    epoch = info.get("epoch")
    return epoch if isinstance(epoch, int) else 0


def read_info(path: Path) -> dict[str, JsonValue]:
    """Read `lease.json`, or the link that an attempt has to it; empty if it cannot be read."""
    if not path.is_file():
        return {}
    try:
        info = json.loads(read_bytes(path))
    except (FileNotFoundError, ValueError, RecursionError):
        return {}
    return info if isinstance(info, dict) else {}
