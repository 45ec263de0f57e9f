"""A run's directory: the head, the records, the attempts, and the files at its root."""

import json
import os
import re
import shutil
import time
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, suppress
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

from filmgate.core.digest import canonical_json
from filmgate.core.errors import Conflict, Invalid, NotFound, first_fault
from filmgate.core.gates import FileFacts, Stranger, Verdict
from filmgate.core.manifest import Ledger, Manifest, OpenAttempt, fold
from filmgate.core.ports import Attempt, Lease
from filmgate.core.publishing import Seal
from filmgate.core.records import RunHead, StageRecord
from filmgate.core.states import StageState
from filmgate.store import lease
from filmgate.store.durable import (
    append_line,
    create_only,
    created_only,
    inside,
    make_folders,
    new_file,
    read_bytes,
    read_facts,
    remove_drafts,
    replace_file,
    stat_mark,
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
"""A file that changed this recently may change again without its times showing it: they are
kept in ticks of some milliseconds."""


class FolderRun:
    """The port `RunDirectory`, on a local disk or a shared POSIX one.

    With `trust_times` a file whose device, inode, size and times of change are as they were is
    not read again by the same object.
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
        """What the run is; read once, since it never changes."""
        try:
            return RunHead.parse((self.folder / HEAD).read_bytes())
        except (FileNotFoundError, NotADirectoryError) as error:
            raise NotFound(f"no run in {self.folder}", expected=f"a file {HEAD}") from error

    def hold(self, now: datetime) -> AbstractContextManager[FolderLease]:
        """Take the lease, or raise Held saying who has it and since when."""
        above = max((record.epoch for record in self._records()[0]), default=0)
        return lease.hold(self.folder, now, above)

    def is_held(self) -> bool:
        """Whether some runner holds the lease now."""
        return lease.is_held(self.folder)

    def ledger(self) -> Ledger:
        """Everything the directory says, read anew; the same object where it says the same."""
        records, strangers = self._records()
        ledger = Ledger(
            head=self.head,
            records=tuple(records),
            strangers=tuple(strangers),
            open_attempts=tuple(self._staging.opened()),
            verdicts=self._verdicts(),
        )
        known = self._known_ledger
        if ledger == known:
            return known
        self._known_ledger = ledger
        return ledger

    def begin(self, lease: Lease, stage: str, attempt: int, now: datetime) -> FolderAttempt:
        """Open an attempt."""
        lease.check()
        self.check_open()
        opened = OpenAttempt(stage=stage, attempt=attempt, epoch=lease.epoch, started=now)
        return self._staging.begin(opened, self.folder / INFO_NAME)

    def discard(self, lease: Lease, attempt: Attempt) -> None:
        """Drop an attempt as if it had never been opened."""
        lease.check()
        self._staging.drop(attempt.stage, attempt.number)

    def commit(self, lease: Lease, record: StageRecord) -> None:
        """Make an attempt's outcome permanent, then give its files their names at the root."""
        lease.check()
        if not self._commits.is_dir():
            self._commits.mkdir()
            sync_folder(self.folder)
        self._check_room(record)
        place = self._commits / record.name
        try:
            with created_only(place, record.to_bytes()):
                paths = [ref.path for ref in record.artifacts]
                self._staging.sync(record.stage, record.attempt, paths)
        except FileNotFoundError:
            lease.check()  # where it has passed to another, that one tidied up
            raise
        self._known_records[record.name] = (stat_mark(place), record)
        if record.status is StageState.SUCCESS:
            self._install(record)
        self._staging.drop(record.stage, record.attempt)

    def remove(self, lease: Lease, paths: Iterable[str]) -> None:
        """Take files away from the root that no record speaks for any more."""
        lease.check()
        for path in paths:
            self.path_of(path).unlink(missing_ok=True)

    def settle(self, lease: Lease) -> tuple[FolderAttempt, ...]:
        """Finish what a dead holder left half-named; the attempts it left without a record."""
        lease.check()
        for folder in (self.folder, self._commits):
            remove_drafts(folder)
        ledger = self.ledger()
        recorded = {(record.stage, record.attempt): record for record in ledger.records}
        dead = []
        for opened in ledger.open_attempts:
            record = recorded.get((opened.stage, opened.attempt))
            if record is None:
                dead.append(self._staging.resume(opened))
            else:
                if record.status is StageState.SUCCESS and ledger.current(opened.stage) == record:
                    self._install(record)
                self._staging.drop(opened.stage, opened.attempt)
        return tuple(dead)

    def refold(self, lease: Lease | None) -> Manifest:
        """Derive the manifest; with a lease, write it too."""
        is_held = lease is not None or self.is_held()  # asked first: who ends now did run just now
        manifest = self._folded(is_held=is_held)
        if lease is not None:
            lease.check()
            replace_file(self.folder / MANIFEST, self.bytes_of(manifest), durable=False)
        return manifest

    def close(self, lease: Lease) -> Manifest:
        """Make all names durable; write the manifest as it stands once the lease is back."""
        lease.check()
        self._make_names_durable()
        manifest = self._folded(is_held=False)
        replace_file(self.folder / MANIFEST, self.bytes_of(manifest), durable=False)
        return manifest

    def seal(self, lease: Lease, seal: Seal) -> None:
        """Close the run for good; Conflict where it is sealed already."""
        lease.check()
        create_only(self._seal, canonical_json(seal.model_dump(mode="json")) + b"\n")

    def bytes_of(self, manifest: Manifest) -> bytes:
        """The bytes of the run's manifest; those that it was sealed with, where it is."""
        seal = self.seal_there()
        return seal.manifest.encode("utf-8") if seal else manifest.to_bytes()

    def check_open(self) -> None:
        """Raise Conflict where the run is sealed."""
        if (seal := self.seal_there()) is not None:
            raise Conflict(
                f"run {self.head.run_id} was published, and is sealed",
                expected="a run that may still change",
                got=f"one that went to {seal.to} at {seal.sealed_at:%Y-%m-%d %H:%M:%S} UTC",
                hint="Begin another with --new",
                reason="sealed",
            )

    def seal_there(self) -> Seal | None:
        """The seal; None where the run may still change. Invalid where it cannot be read."""
        try:
            return Seal.model_validate_json(read_bytes(self._seal))
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise Invalid(
                f"{self._seal} cannot be read",
                expected="the seal of a published run",
                got=first_fault(error),
                hint="Restore it; the run may lie in a store already",
            ) from error

    def facts(self, path: str) -> FileFacts | None:
        """Size and digest of a file at the root; None where absent."""
        file = self.path_of(path)
        try:
            mark = stat_mark(file)
        except OSError:
            return None
        known = self._known_facts.get(path)
        if known is not None and known[0] == mark:
            return known[1]
        if not file.is_file():
            return None
        is_settled = time.time_ns() - max(mark[-2:]) > CLOCK_TICK_NS
        facts = read_facts(file)
        if self._trust_times and is_settled:
            self._known_facts[path] = (mark, facts)
        return facts

    def open(self, path: str) -> BinaryIO:
        """Read a file at the root."""
        return self.path_of(path).open("rb")

    def path_of(self, path: str) -> Path:
        """Where a file of the run lies."""
        known = self._known_paths.get(path)
        if known is None:
            known = self._known_paths[path] = inside(self.folder, path)
        return known

    def rule(self, lease: Lease, verdicts: Iterable[Verdict]) -> None:
        """Replace the verdicts of the last invocation."""
        lease.check()
        self.check_open()
        rows = [verdict.model_dump(mode="json") for verdict in verdicts]
        if rows or (self.folder / VERDICTS).exists():
            replace_file(self.folder / VERDICTS, canonical_json(rows), durable=False)

    def log(self, stage: str, event: Mapping[str, Any]) -> None:
        """Append an event to `logs/{stage}.ndjson`."""
        path = f"{self.folder}/{LOGS}/{stage}.ndjson"
        line = canonical_json(dict(event)) + b"\n"
        with suppress(OSError):
            try:
                append_line(path, line)
            except FileNotFoundError:
                (self.folder / LOGS).mkdir(exist_ok=True)
                append_line(path, line)

    def show(self, status: Mapping[str, Any]) -> None:
        """Replace `status.json`."""
        with suppress(OSError):
            replace_file(self.folder / STATUS, canonical_json(dict(status)), durable=False)

    def shown(self) -> dict[str, Any]:
        """What the last holder of the lease wrote into `status.json`; nothing where none is his."""
        try:
            status = json.loads((self.folder / STATUS).read_bytes())
        except (OSError, ValueError):
            return {}
        is_his = isinstance(status, dict) and status.get("epoch") == self.epoch()
        return status if is_his else {}

    def epoch(self) -> int:
        """Of the last holder of the lease."""
        return lease.epoch_of(lease.read_info(self.folder / INFO_NAME))

    def _folded(self, *, is_held: bool) -> Manifest:
        """What the records say; of a sealed run, what they said when it was sealed."""
        seal = self.seal_there()
        if seal is not None:
            return Manifest.parse(seal.manifest.encode("utf-8"))
        return fold(self.ledger(), is_held=is_held)

    @cached_property
    def _staging(self) -> Staging:
        return Staging(self.folder / ATTEMPTS, self.head.stages, self.head.created_at)

    def _records(self) -> tuple[list[StageRecord], list[Stranger]]:
        """The run's records, and what lies among them and is none."""
        head = self.head
        records: list[StageRecord] = []
        strangers: list[Stranger] = []
        for name, mark in self._record_files():
            try:
                record = self._record(name, mark)
            except Invalid as error:
                due = error.expected or "a sealed record"
                strangers.append(_stranger(name, due, str(error), is_of_another_run=False))
                continue
            if (record.asset_id, record.run_id) == (head.asset.id, head.run_id):
                records.append(record)
            else:
                due = f"a record of {head.asset.id}/{head.run_id}"
                got = f"one of {record.asset_id}/{record.run_id}"
                strangers.append(_stranger(name, due, got, is_of_another_run=True))
        return records, strangers

    def _record_files(self) -> list[tuple[str, tuple[int, ...]]]:
        """Names and marks of the files that go by a record's name, in order."""
        try:
            with os.scandir(self._commits) as found:
                entries = [
                    (entry.name, stat_mark(entry))
                    for entry in found
                    if (name := _RECORD.fullmatch(entry.name))
                    and name["stage"] in self.head.stages
                    and entry.is_file()
                ]
        except FileNotFoundError:
            return []
        return sorted(entries)

    def _record(self, name: str, mark: tuple[int, ...]) -> StageRecord:
        """A record, parsed again only where its file is another than before."""
        known = self._known_records.get(name)
        if known is None or known[0] != mark:
            data = read_bytes(self._commits / name)
            known = (mark, StageRecord.parse(data, name))
            self._known_records[name] = known
        return known[1]

    def _verdicts(self) -> tuple[Verdict, ...]:
        try:
            rows = json.loads((self.folder / VERDICTS).read_bytes())
            return tuple(Verdict.model_validate(row) for row in rows)
        except (FileNotFoundError, ValueError):
            return ()

    def _check_room(self, record: StageRecord) -> None:
        """Make the folders of the files; Invalid where something stands in their place."""
        for ref in record.artifacts:
            target = self.path_of(ref.path)
            depth = ref.path.count("/")
            above = target.parents[:depth] if depth else ()
            in_the_way = [p for p in above if p.exists() and not p.is_dir()]
            if in_the_way or target.is_dir():
                raise Invalid(
                    f"{in_the_way[0] if in_the_way else target} is in the way",
                    expected=f"room for {ref.path}",
                    got="a file" if in_the_way else "a folder",
                    hint="Move it away, then run it again",
                )
            if depth:
                make_folders(target.parent)

    def _install(self, record: StageRecord) -> None:
        """Give a successful attempt's files their names at the root. Repeatable.

        A move of names: what is still staged was not named yet, and what is not was, even if it
        is gone since. A power loss leaves each file under the old name or the new one.
        """
        if record.attempt > 1:
            self._remove_superseded(record)
        for ref in record.artifacts:
            made = self._staging.place(record.stage, record.attempt, ref.path)
            with suppress(FileNotFoundError):
                made.replace(self.path_of(ref.path))

    def _remove_superseded(self, record: StageRecord) -> None:
        made = {ref.path for ref in record.artifacts}
        for earlier in self._records()[0]:
            if earlier.stage == record.stage and earlier.attempt < record.attempt:
                for ref in earlier.artifacts:
                    if ref.path not in made:
                        self.path_of(ref.path).unlink(missing_ok=True)

    def _make_names_durable(self) -> None:
        """Sync the folders of the files at the root, so that no name goes back to staging."""
        paths = [path for made in self.head.makes.values() for path in made]
        for folder in {self.path_of(path).parent for path in paths}:
            if folder.is_dir():
                sync_folder(folder)


_RECORD = re.compile(r"(?P<stage>.+)\.a[1-9][0-9]{0,5}\.json")


def _stranger(name: str, expected: str, got: str, *, is_of_another_run: bool) -> Stranger:
    stage, _, number = name.removesuffix(".json").rpartition(".a")
    return Stranger(
        stage=stage,
        attempt=int(number),
        expected=expected,
        got=got,
        is_of_another_run=is_of_another_run,
    )


def reserve(folder: Path, head: RunHead) -> FolderRun:
    """Make a run's directory with its head, in one step, or raise Invalid where one stands."""
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
                f"{folder} is in the way",
                expected="a new or empty folder, or the folder of this run",
                got="a folder with other things in it",
            ) from error
        raise
    sync_folder(folder.parent)
    return FolderRun(folder)
