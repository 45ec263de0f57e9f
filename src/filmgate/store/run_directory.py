"""A run's directory: the head, the records, the attempts, and the files at its root."""

import json
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from filmgate.core.digest import canonical_json
from filmgate.core.errors import Invalid, NotFound
from filmgate.core.gates import FileFacts, Verdict
from filmgate.core.manifest import Ledger, Manifest, OpenAttempt, fold
from filmgate.core.ports import Attempt, Lease
from filmgate.core.records import RunHead, StageRecord
from filmgate.core.states import StageState
from filmgate.store import lease
from filmgate.store.durable import (
    HashingWriter,
    append_line,
    create_only,
    inside,
    make_folders,
    new_file,
    read_facts,
    replace_file,
    stat_mark,
    sync_folder,
)
from filmgate.store.lease import FolderLease

HEAD = "run.json"
COMMITS = "commits"
ATTEMPTS = "attempts"
VERDICTS = "verdicts.json"
MANIFEST = "manifest.json"
STATUS = "status.json"
LOGS = "logs"

CLOCK_TICK_NS = 50_000_000
"""A file that changed this recently may change again without its times showing it: they are
kept in ticks of some milliseconds."""


class FolderAttempt:
    """`attempts/{stage}.a{n}/`: when it began, and the files made so far."""

    def __init__(self, folder: Path, opened: OpenAttempt) -> None:
        self._files = folder / "files"
        self._facts: dict[str, FileFacts] = {}
        self.stage = opened.stage
        self.number = opened.attempt
        self.started = opened.started

    @contextmanager
    def create(self, path: str) -> Iterator[HashingWriter]:
        """Make a file, once; flushed when the block ends well, gone when it does not."""
        target = inside(self._files, path)
        target.parent.mkdir(parents=True, exist_ok=True)
        with new_file(target) as writer:
            yield writer
        self._facts[path] = writer.facts

    def facts(self, path: str) -> FileFacts | None:
        """Size and digest of a file that was made, as taken while writing."""
        return self._facts.get(path)


class FolderRun:
    """The port `RunDirectory`, on a local disk or a shared POSIX one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._head: RunHead | None = None
        self._known_facts: dict[str, tuple[tuple[int, ...], FileFacts | None]] = {}
        self._known_records: dict[str, tuple[tuple[int, ...], StageRecord]] = {}

    @property
    def head(self) -> RunHead:
        """What the run is; read once, since it never changes."""
        if self._head is None:
            try:
                self._head = RunHead.parse((self.folder / HEAD).read_bytes())
            except (FileNotFoundError, NotADirectoryError) as error:
                raise NotFound(f"no run in {self.folder}", expected=f"a file {HEAD}") from error
        return self._head

    def hold(self, now: datetime) -> AbstractContextManager[FolderLease]:
        """Take the lease, or raise Held saying who has it and since when."""
        return lease.hold(self.folder, now)

    def is_held(self) -> bool:
        """Whether some runner holds the lease now."""
        return lease.is_held(self.folder)

    def ledger(self) -> Ledger:
        """Everything the directory says, read anew."""
        return Ledger(
            head=self.head,
            records=tuple(self._records()),
            open_attempts=tuple(opened for _, opened in self._attempts()),
            verdicts=self._verdicts(),
        )

    def begin(self, lease: Lease, stage: str, attempt: int, now: datetime) -> FolderAttempt:
        """Open an attempt's folder."""
        lease.check()
        opened = OpenAttempt(stage=stage, attempt=attempt, epoch=lease.epoch, started=now)
        folder = self.folder / ATTEMPTS / f"{stage}.a{attempt}"
        if not folder.parent.is_dir():
            folder.parent.mkdir()
            sync_folder(self.folder)
        (folder / "files").mkdir(parents=True)
        note = {"epoch": lease.epoch, "started": now.isoformat()}
        replace_file(folder / "attempt.json", json.dumps(note).encode(), durable=False)
        return FolderAttempt(folder, opened)

    def discard(self, lease: Lease, attempt: Attempt) -> None:
        """Drop an attempt as if it had never been opened."""
        lease.check()
        shutil.rmtree(self.folder / ATTEMPTS / f"{attempt.stage}.a{attempt.number}")

    def commit(self, lease: Lease, record: StageRecord) -> None:
        """Make an attempt's outcome permanent, then give its files their names at the root."""
        lease.check()
        commits = self.folder / COMMITS
        if not commits.is_dir():
            commits.mkdir()
            sync_folder(self.folder)
        for ref in record.artifacts:
            if inside(self.folder, ref.path).is_dir():
                raise Invalid(
                    f"{self.folder / ref.path} is a folder",
                    expected="room for a file",
                    got="a folder",
                    hint="Move it away, then run it again",
                )
        if not (commits / record.name).exists():
            self._make_names_durable(record)
        create_only(commits / record.name, record.to_bytes())
        self._install(record)

    def settle(self, lease: Lease) -> tuple[FolderAttempt, ...]:
        """Finish what a dead holder left half-named; the attempts it left without a record."""
        lease.check()
        for draft in (*self.folder.glob(".*.tmp"), *(self.folder / COMMITS).glob(".*.tmp")):
            draft.unlink(missing_ok=True)
        ledger = self.ledger()
        recorded = {(record.stage, record.attempt) for record in ledger.records}
        dead = []
        for folder, opened in self._attempts():
            current = ledger.current(opened.stage)
            if (opened.stage, opened.attempt) not in recorded:
                dead.append(FolderAttempt(folder, opened))
            elif current is not None and current.attempt == opened.attempt:
                self._install(current)
            else:
                shutil.rmtree(folder)
        return tuple(dead)

    def refold(self, lease: Lease | None) -> Manifest:
        """Derive the manifest; with a lease, write it too."""
        manifest = fold(self.ledger(), is_held=lease is not None or self.is_held())
        if lease is not None:
            replace_file(self.folder / MANIFEST, manifest.to_bytes(), durable=False)
        return manifest

    def close(self, lease: Lease) -> Manifest:
        """Derive and write the manifest as it stands once the lease is given back."""
        lease.check()
        manifest = fold(self.ledger(), is_held=False)
        replace_file(self.folder / MANIFEST, manifest.to_bytes(), durable=True)
        return manifest

    def facts(self, path: str) -> FileFacts | None:
        """Size and digest of a file at the root; None where absent."""
        file = inside(self.folder, path)
        try:
            mark = stat_mark(file)
        except OSError:
            return None
        if not file.is_file():
            return None
        known = self._known_facts.get(path)
        if known is not None and known[0] == mark:
            return known[1]
        facts = read_facts(file)
        if time.time_ns() - max(mark[-2:]) > CLOCK_TICK_NS:
            self._known_facts[path] = (mark, facts)
        return facts

    def open(self, path: str) -> BinaryIO:
        """Read a file at the root."""
        return inside(self.folder, path).open("rb")

    def rule(self, lease: Lease, verdicts: Iterable[Verdict]) -> None:
        """Replace the verdicts of the last invocation."""
        lease.check()
        rows = [verdict.model_dump(mode="json") for verdict in verdicts]
        if rows or (self.folder / VERDICTS).exists():
            replace_file(self.folder / VERDICTS, canonical_json(rows), durable=False)

    def log(self, stage: str, event: Mapping[str, Any]) -> None:
        """Append an event to `logs/{stage}.ndjson`."""
        folder = self.folder / LOGS
        with suppress(OSError):
            folder.mkdir(exist_ok=True)
        append_line(folder / f"{stage}.ndjson", canonical_json(dict(event)) + b"\n")

    def show(self, status: Mapping[str, Any]) -> None:
        """Replace `status.json`."""
        with suppress(OSError):
            replace_file(self.folder / STATUS, canonical_json(dict(status)), durable=False)

    def _records(self) -> Iterator[StageRecord]:
        commits = self.folder / COMMITS
        if not commits.is_dir():
            return
        for path in sorted(commits.glob("*.json")):
            if not path.name.startswith(".") and path.is_file():
                yield self._record(path)

    def _record(self, path: Path) -> StageRecord:
        """A record, parsed again only where its file is another than before."""
        mark = stat_mark(path)
        known = self._known_records.get(path.name)
        if known is None or known[0] != mark:
            known = (mark, StageRecord.parse(path.read_bytes(), path.name))
            self._known_records[path.name] = known
        return known[1]

    def _make_names_durable(self, record: StageRecord) -> None:
        """Sync the folders of the attempt's files, up to the attempt's own."""
        attempt = self.folder / ATTEMPTS / f"{record.stage}.a{record.attempt}"
        made = [attempt / "files" / ref.path for ref in record.artifacts]
        folders = {folder for path in made for folder in path.parents if attempt in folder.parents}
        if made:
            folders |= {attempt, attempt.parent}
        for folder in sorted(folders, reverse=True):
            sync_folder(folder)

    def _attempts(self) -> Iterator[tuple[Path, OpenAttempt]]:
        attempts = self.folder / ATTEMPTS
        for folder in sorted(attempts.iterdir()) if attempts.is_dir() else []:
            stage, _, number = folder.name.rpartition(".a")
            if stage in self.head.stages and number.isdecimal():
                note = _attempt_note(folder, self.head.created_at)
                yield folder, OpenAttempt(stage=stage, attempt=int(number), **note)

    def _verdicts(self) -> tuple[Verdict, ...]:
        try:
            rows = json.loads((self.folder / VERDICTS).read_bytes())
            return tuple(Verdict.model_validate(row) for row in rows)
        except (FileNotFoundError, ValueError):
            return ()

    def _install(self, record: StageRecord) -> None:
        """Move a successful attempt's files to the root, then drop its folder. Repeatable."""
        folder = self.folder / ATTEMPTS / f"{record.stage}.a{record.attempt}"
        if record.status is StageState.SUCCESS:
            self._remove_superseded(record)
            for ref in record.artifacts:
                made = folder / "files" / ref.path
                if made.exists():
                    target = inside(self.folder, ref.path)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    os.replace(made, target)  # noqa: PTH105 - a move of names, nothing else
            for folder_of in {inside(self.folder, ref.path).parent for ref in record.artifacts}:
                sync_folder(folder_of)
        shutil.rmtree(folder, ignore_errors=True)

    def _remove_superseded(self, record: StageRecord) -> None:
        made = {ref.path for ref in record.artifacts}
        for earlier in self._records():
            if earlier.stage == record.stage and earlier.attempt < record.attempt:
                for ref in earlier.artifacts:
                    if ref.path not in made:
                        inside(self.folder, ref.path).unlink(missing_ok=True)


def reserve(folder: Path, head: RunHead) -> FolderRun:
    """Make a run's directory with its head, in one step, or raise Invalid where one stands."""
    make_folders(folder.parent)
    draft = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    try:
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


def _attempt_note(folder: Path, otherwise: datetime) -> dict[str, Any]:
    """Epoch and start of an attempt; a torn note (power loss) says epoch 1, at the run's start."""
    try:
        note = json.loads((folder / "attempt.json").read_bytes())
        return {"epoch": int(note["epoch"]), "started": datetime.fromisoformat(note["started"])}
    except (OSError, ValueError, KeyError, TypeError):
        return {"epoch": 1, "started": otherwise}
