"""A run's directory: its head, records, open attempts, and the files at its root."""

import json
import os
import shutil
import time
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, suppress
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

from filmgate.core.digest import JsonValue, canonical_json
from filmgate.core.errors import Invalid, NotFound, first_fault
from filmgate.core.gates import FileFacts, ForeignRecord, Verdict
from filmgate.core.manifest import Ledger, Manifest, UnrecordedAttempt, fold
from filmgate.core.ports import Attempt, Lease
from filmgate.core.publishing import Seal
from filmgate.core.records import RunHead, StageRecord
from filmgate.core.run_rules import (
    blocked_path_error,
    is_record_name,
    plan_recovery,
    read_records,
    sealed_error,
    superseded_paths,
)
from filmgate.core.states import StageState
from filmgate.store import lease
from filmgate.store.durable import (
    append_line,
    create_exclusive,
    create_only,
    make_folders,
    new_file,
    read_bytes,
    read_facts,
    remove_drafts,
    replace_file,
    safe_join,
    stat_identity,
    sync_folder,
)
from filmgate.store.lease import INFO_NAME, FolderLease
from filmgate.store.staging import FolderAttempt, Staging

HEAD = "run.json"
COMMITS = "commits"
ATTEMPTS = "attempts"
VERDICTS = "verdicts.json"
MANIFEST = "manifest.json"
STATUS = "status.json"
SEAL = "seal.json"
LOGS = "logs"

CLOCK_TICK_NS = 50_000_000
"""Age in nanoseconds below which the times of a file are not trusted: the file may change again
within the same tick of the file system's clock, which is some milliseconds."""


class FolderRun:
    """Implementation of the port `RunDirectory` on a local or shared POSIX file system.

    With `trust_times`, this object does not read a file again if its device, inode, size,
    modification and change time are unchanged.
    """

    def __init__(self, folder: Path, *, trust_times: bool = True) -> None:
        self.folder = folder
        self._commits = folder / COMMITS
        self._seal = folder / SEAL
        self._trust_times = trust_times
        self._known_facts: dict[str, tuple[tuple[int, ...], FileFacts | None]] = {}
        self._known_paths: dict[str, Path] = {}
        self._known_ledger: Ledger | None = None
        self._known_records: dict[str, tuple[tuple[int, ...], StageRecord]] = {}

    @cached_property
    def head(self) -> RunHead:
        """Head of the run; read only once, because it never changes."""
        try:
            return RunHead.parse((self.folder / HEAD).read_bytes())
        except (FileNotFoundError, NotADirectoryError) as error:
            raise NotFound(
                f"{self.folder} does not contain a run", expected=f"a file {HEAD}"
            ) from error

    def acquire_lease(self, now: datetime) -> AbstractContextManager[FolderLease]:
        """Take the lease; raise Held, with its holder and start time, if another runner has it."""
        above = max((record.epoch for record in self._records()[0]), default=0)
        return lease.acquire_lease(self.folder, now, above)

    def is_held(self) -> bool:
        """Whether a runner holds the lease now."""
        return lease.is_held(self.folder)

    def ledger(self) -> Ledger:
        """Read all records, attempts and verdicts; return the same object if nothing changed."""
        records, foreign_records = self._records()
        ledger = Ledger(
            head=self.head,
            records=tuple(records),
            all_foreign_records=tuple(foreign_records),
            unrecorded_attempts=tuple(self._staging.list_attempts()),
            verdicts=self._verdicts(),
        )
        known = self._known_ledger
        if ledger == known:
            return known
        self._known_ledger = ledger
        return ledger

    def begin(
        self,
        lease: Lease,
        stage: str,
        attempt: int,
        now: datetime,
        *,
        despite_seal: bool = False,
    ) -> FolderAttempt:
        """Open an attempt; raise Conflict if the attempt exists, or if the run is sealed."""
        lease.check()
        if not despite_seal:
            self.check_not_sealed()
        opened = UnrecordedAttempt(stage=stage, attempt=attempt, epoch=lease.epoch, started=now)
        return self._staging.begin(opened, self.folder / INFO_NAME)

    def discard(self, lease: Lease, attempt: Attempt) -> None:
        """Remove an attempt as if it had never been opened."""
        lease.check()
        self._staging.drop(attempt.stage, attempt.number)

    def commit(self, lease: Lease, record: StageRecord) -> None:
        """Make a record permanent, then move its files from staging to the run's root."""
        lease.check()
        if not self._commits.is_dir():
            self._commits.mkdir()
            sync_folder(self.folder)
        self._prepare_paths(record)
        path = self._commits / record.name
        try:
            with create_exclusive(path, record.to_bytes()):
                paths = [ref.path for ref in record.artifacts]
                self._staging.sync(record.stage, record.attempt, paths)
        except FileNotFoundError:
            lease.check()  # if the lease was lost, the next holder removed the files
            raise
        self._known_records[record.name] = (stat_identity(path), record)
        if record.status is StageState.SUCCESS:
            self._install(record)
        self._staging.drop(record.stage, record.attempt)

    def remove(self, lease: Lease, paths: Iterable[str]) -> None:
        """Remove files at the root that no current record names."""
        lease.check()
        for path in paths:
            self.path_of(path).unlink(missing_ok=True)

    def recover(self, lease: Lease) -> tuple[FolderAttempt, ...]:
        """Finish the commits of a runner that died; return its attempts that have no record."""
        lease.check()
        for folder in (self.folder, self._commits):
            remove_drafts(folder)
        interrupted = []
        for unfinished in plan_recovery(self.ledger()):
            opened = unfinished.opened
            if unfinished.record_to_install is not None:
                self._install(unfinished.record_to_install)
            if unfinished.is_committed:
                self._staging.drop(opened.stage, opened.attempt)
            else:
                interrupted.append(FolderAttempt(self._staging, opened))
        return tuple(interrupted)

    def fold_manifest(self, lease: Lease | None) -> Manifest:
        """Derive the manifest; with a lease, also write it."""
        # `is_held` is read before the records, because a runner may end meanwhile.
        is_held = lease is not None or self.is_held()
        manifest = self._fold(is_held=is_held)
        if lease is not None:
            lease.check()
            replace_file(self.folder / MANIFEST, self.manifest_bytes(manifest), durable=False)
        return manifest

    def close(self, lease: Lease) -> Manifest:
        """Make all file names durable; write the manifest of the run as no longer held."""
        lease.check()
        self._make_names_durable()
        manifest = self._fold(is_held=False)
        replace_file(self.folder / MANIFEST, self.manifest_bytes(manifest), durable=False)
        return manifest

    def seal(self, lease: Lease, seal: Seal, *, replace: bool = False) -> None:
        """Seal the run; raise Conflict if it is sealed already, unless `replace`."""
        lease.check()
        if replace:
            replace_file(self._seal, seal.to_bytes(), durable=True)
        else:
            create_only(self._seal, seal.to_bytes())

    def manifest_bytes(self, manifest: Manifest) -> bytes:
        """Bytes of the run's manifest; if it is sealed, those in the seal."""
        seal = self.read_seal()
        return seal.manifest.encode("utf-8") if seal else manifest.to_bytes()

    def check_not_sealed(self) -> None:
        """Raise Conflict if the run is sealed."""
        if (seal := self.read_seal()) is not None:
            raise sealed_error(self.head, seal)

    def read_seal(self) -> Seal | None:
        """Read the seal; None if the run is not sealed. Raises Invalid if it cannot be read."""
        try:
            return Seal.model_validate_json(read_bytes(self._seal))
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise Invalid(
                f"{self._seal} cannot be read",
                expected="the seal of a published run",
                got=first_fault(error),
                hint="Restore the file; the run may already be in a store",
            ) from error

    def facts(self, path: str) -> FileFacts | None:
        """Size and digest of a file at the root; None if it does not exist."""
        file = self.path_of(path)
        try:
            identity = stat_identity(file)
        except OSError:
            return None
        known = self._known_facts.get(path)
        if known is not None and known[0] == identity:
            return known[1]
        if not file.is_file():
            return None
        is_settled = time.time_ns() - max(identity[-2:]) > CLOCK_TICK_NS
        facts = read_facts(file)
        if self._trust_times and is_settled:
            self._known_facts[path] = (identity, facts)
        return facts

    def open(self, path: str) -> BinaryIO:
        """Open a file at the root for reading."""
        return self.path_of(path).open("rb")

    def path_of(self, path: str) -> Path:
        """Path of a file of the run; raise Invalid if it is outside the run's folder."""
        known = self._known_paths.get(path)
        if known is None:
            known = self._known_paths[path] = safe_join(self.folder, path)
        return known

    def save_verdicts(self, lease: Lease, verdicts: Iterable[Verdict]) -> None:
        """Replace the verdicts of the last invocation."""
        lease.check()
        self.check_not_sealed()
        rows = [verdict.model_dump(mode="json") for verdict in verdicts]
        if rows or (self.folder / VERDICTS).exists():
            replace_file(self.folder / VERDICTS, canonical_json(rows), durable=False)

    def log(self, stage: str, event: Mapping[str, JsonValue]) -> None:
        """Append an event to `logs/{stage}.ndjson`; ignore errors of the disk."""
        path = f"{self.folder}/{LOGS}/{stage}.ndjson"
        line = canonical_json(dict(event)) + b"\n"
        with suppress(OSError):
            try:
                append_line(path, line)
            except FileNotFoundError:
                (self.folder / LOGS).mkdir(exist_ok=True)
                append_line(path, line)

    def write_status(self, status: Mapping[str, JsonValue]) -> None:
        """Replace `status.json`; ignore errors of the disk."""
        with suppress(OSError):
            replace_file(self.folder / STATUS, canonical_json(dict(status)), durable=False)

    def read_status(self) -> dict[str, object]:
        """Read `status.json`; empty unless the last holder of the lease wrote it."""
        try:
            status = json.loads((self.folder / STATUS).read_bytes())
        except (OSError, ValueError):
            return {}
        is_current = isinstance(status, dict) and status.get("epoch") == self.epoch()
        return status if is_current else {}

    def epoch(self) -> int:
        """Epoch of the last holder of the lease."""
        return lease.epoch_in(lease.read_info(self.folder / INFO_NAME))

    def _fold(self, *, is_held: bool) -> Manifest:
        """Derive the manifest; if the run is sealed, read it from the seal."""
        seal = self.read_seal()
        if seal is not None:
            return Manifest.parse(seal.manifest.encode("utf-8"))
        return fold(self.ledger(), is_held=is_held)

    @cached_property
    def _staging(self) -> Staging:
        return Staging(self.folder / ATTEMPTS, self.head.stages, self.head.created_at)

    def _records(self) -> tuple[list[StageRecord], list[ForeignRecord]]:
        """Read the valid records of the run, and the files that are not valid records of it."""
        files = dict(self._record_files())
        return read_records(self.head, files, lambda name: self._record(name, files[name]))

    def _record_files(self) -> list[tuple[str, tuple[int, ...]]]:
        """Names and identities of the files that have the name of a record, sorted by name."""
        try:
            with os.scandir(self._commits) as found:
                entries = [
                    (entry.name, stat_identity(entry))
                    for entry in found
                    if is_record_name(entry.name, self.head.stages) and entry.is_file()
                ]
        except FileNotFoundError:
            return []
        return sorted(entries)

    def _record(self, name: str, identity: tuple[int, ...]) -> StageRecord:
        """Return a record; its file is parsed again only if the file's identity changed."""
        known = self._known_records.get(name)
        if known is None or known[0] != identity:
            data = read_bytes(self._commits / name)
            known = (identity, StageRecord.parse(data, name))
            self._known_records[name] = known
        return known[1]

    def _verdicts(self) -> tuple[Verdict, ...]:
        try:
            rows = json.loads((self.folder / VERDICTS).read_bytes())
            return tuple(Verdict.model_validate(row) for row in rows)
        except (FileNotFoundError, ValueError):
            return ()

    def _prepare_paths(self, record: StageRecord) -> None:
        """Create the folders of the record's files; raise Invalid if a path is blocked."""
        for ref in record.artifacts:
            target = self.path_of(ref.path)
            depth = ref.path.count("/")
            parents = target.parents[:depth] if depth else ()
            blocking = [p for p in parents if p.exists() and not p.is_dir()]
            if blocking or target.is_dir():
                expected, got = ("a folder", "a file") if blocking else ("a file", "a folder")
                at = blocking[0] if blocking else target
                raise blocked_path_error(at, ref.path, expected=expected, got=got)
            if depth:
                make_folders(target.parent)

    def _install(self, record: StageRecord) -> None:
        """Move a successful attempt's files from staging to the root. Can be repeated.

        A file that is still in staging was not moved yet. A file that is no longer in staging was
        moved, even if it was removed later. After a power loss, each file has either its old name
        or its new one.
        """
        if record.attempt > 1:
            self._remove_superseded(record)
        for ref in record.artifacts:
            staged = self._staging.staging_path(record.stage, record.attempt, ref.path)
            with suppress(FileNotFoundError):
                staged.replace(self.path_of(ref.path))

    def _remove_superseded(self, record: StageRecord) -> None:
        """Remove files of earlier attempts that this record does not name."""
        for path in superseded_paths(record, self._records()[0]):
            self.path_of(path).unlink(missing_ok=True)

    def _make_names_durable(self) -> None:
        """Sync the folders of the files at the root, so that no file reverts to staging."""
        paths = [path for stage_paths in self.head.makes.values() for path in stage_paths]
        for folder in {self.path_of(path).parent for path in paths}:
            if folder.is_dir():
                sync_folder(folder)


def reserve(folder: Path, head: RunHead) -> FolderRun:
    """Create a run's directory with its head, atomically.

    Raises Invalid if the directory exists and is not empty.
    """
    make_folders(folder.parent)
    draft = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    try:
        for name in (COMMITS, ATTEMPTS, LOGS):
            (draft / name).mkdir()
        with new_file(draft / HEAD) as writer:
            writer.write(head.to_bytes())
        sync_folder(draft)
        draft.rename(folder)
    except OSError as error:
        shutil.rmtree(draft, ignore_errors=True)
        if folder.exists():
            raise Invalid(
                f"{folder} already exists",
                expected="a new or empty folder, or the folder of this run",
                got="a folder with other files",
            ) from error
        raise
    sync_folder(folder.parent)
    return FolderRun(folder)
