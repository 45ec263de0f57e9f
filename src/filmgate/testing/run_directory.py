"""Implementation of the port `RunDirectory` in memory."""

import io
import json
import os
import shutil
import socket
import tempfile
import threading
import weakref
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple
from urllib.parse import quote
from uuid import uuid4

from filmgate.core.digest import canonical_json, sha256_hex
from filmgate.core.errors import Conflict
from filmgate.core.gates import FileFacts, Verdict
from filmgate.core.manifest import Ledger, Manifest, UnrecordedAttempt, fold
from filmgate.core.ports import Attempt, Lease
from filmgate.core.publishing import MANIFEST, Seal
from filmgate.core.records import RunHead, StageRecord
from filmgate.core.run_rules import (
    blocked_path_error,
    held_error,
    is_record_name,
    lost_lease_error,
    plan_recovery,
    read_records,
    sealed_error,
    superseded_paths,
)
from filmgate.core.states import StageState
from filmgate.store.durable import safe_join
from filmgate.store.run_directory import COMMITS, HEAD, LOGS, STATUS
from filmgate.testing.run_lock import RunLock


class _StoredFile(NamedTuple):
    data: bytes
    facts: FileFacts

    @classmethod
    def of(cls, data: bytes) -> "_StoredFile":
        return cls(data=data, facts=FileFacts(size_bytes=len(data), sha256=sha256_hex(data)))


@dataclass(kw_only=True)
class _StagedAttempt:
    """An attempt that is not committed: its epoch, its start, and the files made so far."""

    epoch: int
    started: datetime
    files: dict[str, _StoredFile | None] = field(default_factory=dict)
    """Files by path; None while a file is written."""


class MemoryFileWriter:
    """A file being written in memory."""

    def __init__(self) -> None:
        self._data = bytearray()

    def write(self, data: bytes) -> None:
        """Append all of `data`."""
        self._data += data

    def finish(self) -> _StoredFile:
        """Return the bytes that were written, with their size and digest."""
        return _StoredFile.of(bytes(self._data))


class MemoryLease:
    """The right to write to a run in memory."""

    def __init__(self, run: "MemoryRun", epoch: int, lock: int) -> None:
        self._run = run
        self.epoch = epoch
        self.lock = lock

    def check(self) -> None:
        """Raise Held if another runner has taken the lease meanwhile."""
        if self._run.epoch != self.epoch:
            raise lost_lease_error(self.epoch, self._run.epoch)


class MemoryAttempt:
    """One attempt at a stage of a run in memory."""

    def __init__(self, stage: str, number: int, staged: _StagedAttempt, copies: Path) -> None:
        self.stage = stage
        self.number = number
        self.started = staged.started
        self._files = staged.files
        self._copies = copies

    @contextmanager
    def create(self, path: str) -> Iterator[MemoryFileWriter]:
        """Create a file; it is removed if the block raises. Raises Conflict if it exists."""
        safe_join(PurePosixPath(), path)
        if path in self._files:
            raise Conflict(f"{path} already exists", hint="Create each file only once")
        self._files[path] = None
        writer = MemoryFileWriter()
        try:
            yield writer
        except BaseException:
            del self._files[path]
            raise
        self._files[path] = writer.finish()

    def facts(self, path: str) -> FileFacts | None:
        """Size and digest of a file of this attempt; None if it was not made."""
        stored = self._files.get(path)
        return stored.facts if stored else None

    def staging_path(self, path: str) -> Path:
        """Copy a file of this attempt to a temporary folder, and return the path of the copy."""
        copy = self._copies / f"{self.stage}.a{self.number}.{quote(path, safe='')}"
        _write_copy(copy, self._files.get(path))
        return copy


class MemoryRun:
    """A run that exists only in this process. Thread-safe.

    Some programs open files by path, so the port has methods that return paths. They copy the file
    to a temporary folder first. The folder is created for the first copy and removed with this
    object; changes to a copy do not change the run.
    """

    def __init__(self, head: RunHead) -> None:
        self.head = head
        temporary = Path(tempfile.gettempdir()) / f"filmgate-{uuid4().hex}"
        weakref.finalize(self, shutil.rmtree, temporary, ignore_errors=True)
        self.folder = temporary / head.run_id
        self.epoch = 0
        """Epoch of the last holder of the lease."""
        self._copies_of_attempts = temporary / "attempts"
        self._state_lock = threading.RLock()
        self._run_lock: RunLock | None = None
        self._holder: dict[str, object] = {}
        self._files = {HEAD: _StoredFile.of(head.to_bytes())}
        self._logs: dict[str, bytearray] = {}
        self._parsed_records: dict[bytes, StageRecord] = {}
        self._attempts: dict[tuple[str, int], _StagedAttempt] = {}
        self._verdicts: tuple[Verdict, ...] = ()
        self._seal: Seal | None = None

    @contextmanager
    def acquire_lease(self, now: datetime) -> Iterator[MemoryLease]:
        """Take the lease; raise Held, with its holder and start time, if another runner has it."""
        with self._state_lock:
            if self.is_held():
                raise held_error(self._holder)
            above = max((record.epoch for record in self.ledger().records), default=0)
            self.epoch = max(self.epoch, above) + 1
            lock = self._run_lock = RunLock()
            self._holder = {
                "epoch": self.epoch,
                "host": socket.gethostname(),
                "pid": os.getpid(),
                "since": now.isoformat(),
            }
            lease = MemoryLease(self, self.epoch, lock.descriptor)
        try:
            yield lease
        finally:
            lock.release()

    def is_held(self) -> bool:
        """Whether a runner holds the lease now."""
        with self._state_lock:
            return self._run_lock is not None and self._run_lock.is_held

    def break_lease(self) -> None:
        """Let another runner take the lease, for tests of a runner that loses it."""
        with self._state_lock:
            self._run_lock = None

    def ledger(self) -> Ledger:
        """Current records, attempts and verdicts."""
        with self._state_lock:
            records, foreign_records = read_records(
                self.head, self._record_names(), self._parse_record
            )
            return Ledger(
                head=self.head,
                records=tuple(records),
                all_foreign_records=tuple(foreign_records),
                unrecorded_attempts=tuple(
                    UnrecordedAttempt(
                        stage=stage,
                        attempt=number,
                        epoch=staged.epoch,
                        started=staged.started,
                        has_files=bool(staged.files),
                    )
                    for (stage, number), staged in sorted(
                        self._attempts.items(), key=lambda entry: entry[0]
                    )
                ),
                verdicts=self._verdicts,
            )

    def begin(
        self,
        lease: Lease,
        stage: str,
        attempt: int,
        now: datetime,
        *,
        despite_seal: bool = False,
    ) -> MemoryAttempt:
        """Open an attempt; raise Conflict if the attempt exists, or if the run is sealed."""
        with self._state_lock:
            lease.check()
            if not despite_seal:
                self.check_not_sealed()
            if (stage, attempt) in self._attempts:
                raise _already_exists(f"{stage}.a{attempt}")
            self._attempts[stage, attempt] = _StagedAttempt(epoch=lease.epoch, started=now)
            return self._open_attempt(stage, attempt)

    def discard(self, lease: Lease, attempt: Attempt) -> None:
        """Remove an attempt as if it had never been opened."""
        with self._state_lock:
            lease.check()
            self._attempts.pop((attempt.stage, attempt.number), None)

    def commit(self, lease: Lease, record: StageRecord) -> None:
        """Make a record permanent, then move its files from the attempt to the run's root."""
        with self._state_lock:
            lease.check()
            self._check_paths(record)
            path = f"{COMMITS}/{record.name}"
            if path in self._files:
                raise _already_exists(record.name)
            staged = self._attempts.get((record.stage, record.attempt))
            made = {name for name, stored in staged.files.items() if stored} if staged else set()
            for ref in record.artifacts:
                if ref.path not in made:
                    raise FileNotFoundError(f"attempt {record.name} has no file {ref.path}")
            self._files[path] = _StoredFile.of(record.to_bytes())
            if record.status is StageState.SUCCESS:
                self._install(record)
            self._attempts.pop((record.stage, record.attempt), None)

    def remove(self, lease: Lease, paths: Iterable[str]) -> None:
        """Remove files at the root that no current record names."""
        with self._state_lock:
            lease.check()
            for path in paths:
                self.remove_file(path)

    def recover(self, lease: Lease) -> tuple[MemoryAttempt, ...]:
        """Finish the commits of an interrupted runner; return its attempts that have no record."""
        with self._state_lock:
            lease.check()
            interrupted = []
            for unfinished in plan_recovery(self.ledger()):
                opened = unfinished.opened
                if unfinished.record_to_install is not None:
                    self._install(unfinished.record_to_install)
                if unfinished.is_committed:
                    del self._attempts[opened.stage, opened.attempt]
                else:
                    interrupted.append(self._open_attempt(opened.stage, opened.attempt))
            return tuple(interrupted)

    def fold_manifest(self, lease: Lease | None) -> Manifest:
        """Derive the manifest; with a lease, also write it."""
        with self._state_lock:
            manifest = self._fold(is_held=lease is not None or self.is_held())
            if lease is not None:
                lease.check()
                self._files[MANIFEST] = _StoredFile.of(self.manifest_bytes(manifest))
            return manifest

    def close(self, lease: Lease) -> Manifest:
        """Write the manifest of the run as no longer held."""
        with self._state_lock:
            lease.check()
            manifest = self._fold(is_held=False)
            self._files[MANIFEST] = _StoredFile.of(self.manifest_bytes(manifest))
            return manifest

    def seal(self, lease: Lease, seal: Seal, *, replace: bool = False) -> None:
        """Seal the run; raise Conflict if it is sealed already, unless `replace`."""
        with self._state_lock:
            lease.check()
            if self._seal is not None and not replace:
                raise _already_exists("the seal")
            self._seal = seal

    def read_seal(self) -> Seal | None:
        """Return the seal; None if the run is not sealed."""
        return self._seal

    def manifest_bytes(self, manifest: Manifest) -> bytes:
        """Bytes of the run's manifest; if it is sealed, those in the seal."""
        seal = self._seal
        return seal.manifest.encode("utf-8") if seal else manifest.to_bytes()

    def check_not_sealed(self) -> None:
        """Raise Conflict if the run is sealed."""
        if self._seal is not None:
            raise sealed_error(self.head, self._seal)

    def facts(self, path: str) -> FileFacts | None:
        """Size and digest of a file at the root; None if it does not exist."""
        stored = self._files.get(_normalize(path))
        return stored.facts if stored else None

    def open(self, path: str) -> BinaryIO:
        """Open a file of the run for reading; raise FileNotFoundError if it does not exist."""
        name = _normalize(path)
        if name in self._logs:
            return io.BytesIO(bytes(self._logs[name]))
        stored = self._files.get(name)
        if stored is None:
            raise FileNotFoundError(f"run {self.head.run_id} has no file {path}")
        return io.BytesIO(stored.data)

    def path_of(self, path: str) -> Path:
        """Copy a file at the root to a temporary folder, and return the path of the copy.

        Without such a file, nothing exists at the path. Raises Invalid if the path is outside the
        root.
        """
        copy = safe_join(self.folder, path)
        with self._state_lock:
            _write_copy(copy, self._files.get(_normalize(path)))
        return copy

    def save_verdicts(self, lease: Lease, verdicts: Iterable[Verdict]) -> None:
        """Replace the verdicts of the last invocation."""
        with self._state_lock:
            lease.check()
            self.check_not_sealed()
            self._verdicts = tuple(verdicts)

    def log(self, stage: str, event: Mapping[str, object]) -> None:
        """Append an event to the log of a stage."""
        line = canonical_json(dict(event)) + b"\n"
        with self._state_lock:
            self._logs.setdefault(f"{LOGS}/{stage}.ndjson", bytearray()).extend(line)

    def write_status(self, status: Mapping[str, object]) -> None:
        """Replace `status.json`."""
        with self._state_lock:
            self._files[STATUS] = _StoredFile.of(canonical_json(dict(status)))

    def events(self, stage: str) -> list[dict[str, object]]:
        """Read the events in the log of a stage, oldest first."""
        log = self._logs.get(f"{LOGS}/{stage}.ndjson", bytearray())
        return [json.loads(line) for line in bytes(log).splitlines()]

    def put_file(self, path: str, data: bytes) -> None:
        """Create or replace a file without a lease, as a person could edit a file on disk."""
        with self._state_lock:
            self._files[_normalize(path)] = _StoredFile.of(data)

    def remove_file(self, path: str) -> None:
        """Remove a file, if it exists, without a lease, as a person could do on disk."""
        with self._state_lock:
            self._files.pop(_normalize(path), None)

    def _open_attempt(self, stage: str, number: int) -> MemoryAttempt:
        staged = self._attempts[stage, number]
        return MemoryAttempt(stage, number, staged, self._copies_of_attempts)

    def _fold(self, *, is_held: bool) -> Manifest:
        """Derive the manifest; if the run is sealed, read it from the seal."""
        if self._seal is not None:
            return Manifest.parse(self._seal.manifest.encode("utf-8"))
        return fold(self.ledger(), is_held=is_held)

    def _record_names(self) -> list[str]:
        folder = f"{COMMITS}/"
        names = [path.removeprefix(folder) for path in self._files if path.startswith(folder)]
        return sorted(name for name in names if is_record_name(name, self.head.stages))

    def _parse_record(self, name: str) -> StageRecord:
        """Parse a record; the same bytes are parsed only once."""
        data = self._files[f"{COMMITS}/{name}"].data
        record = self._parsed_records.get(data)
        if record is None or record.name != name:
            record = self._parsed_records[data] = StageRecord.parse(data, name)
        return record

    def _check_paths(self, record: StageRecord) -> None:
        """Raise Invalid if the path of a file is blocked by a file or folder at the root."""
        for ref in record.artifacts:
            for parent in PurePosixPath(ref.path).parents:
                if str(parent) in self._files:
                    raise blocked_path_error(parent, ref.path, expected="a folder", got="a file")
            if any(path.startswith(f"{ref.path}/") for path in self._files):
                raise blocked_path_error(ref.path, ref.path, expected="a file", got="a folder")

    def _install(self, record: StageRecord) -> None:
        """Move a successful attempt's files to the root. Can be repeated."""
        for path in superseded_paths(record, self.ledger().records):
            self.remove_file(path)
        staged = self._attempts.get((record.stage, record.attempt))
        for ref in record.artifacts:
            stored = staged.files.pop(ref.path, None) if staged else None
            if stored is not None:
                self._files[ref.path] = stored


def _normalize(path: str) -> str:
    """Path of a file below the root; raises Invalid if it is outside."""
    return str(safe_join(PurePosixPath(), path))


def _already_exists(name: str) -> Conflict:
    return Conflict(f"{name} already exists", expected="no file with that name", got="a file")


def _write_copy(copy: Path, stored: _StoredFile | None) -> None:
    """Replace a copy in a temporary folder by the current bytes of its file."""
    copy.unlink(missing_ok=True)
    if stored is not None:
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(stored.data)
