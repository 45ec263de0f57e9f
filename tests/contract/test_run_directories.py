"""The contract of run directories, tested with a folder and in memory."""

import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path
from typing import Protocol

import pytest

from filmgate.core.digest import sha256_hex
from filmgate.core.errors import Conflict, Held, Invalid
from filmgate.core.gates import Reason, ReasonCode, Verdict
from filmgate.core.manifest import Manifest, fold
from filmgate.core.payloads.built_in import BUILT_IN
from filmgate.core.ports import Attempt, Lease, RunDirectory
from filmgate.core.publishing import Seal
from filmgate.core.records import ArtifactRef, StageError, StageRecord
from filmgate.core.states import RunState, StageState
from filmgate.engine.adoption import adopt
from filmgate.engine.verification import verify
from filmgate.store.run_directory import FolderRun
from filmgate.testing import MemoryRun
from support.runs import (
    LETTERS,
    MOMENT,
    PLAN,
    PRODUCER,
    SCENES,
    WORDS,
    RecordingObserver,
    execute,
    make_head,
    reserve_run,
)

LATER = MOMENT + timedelta(hours=1)


class RunUnderTest(Protocol):
    """A run, and what can happen to it from outside."""

    run: RunDirectory

    def reopen(self) -> RunDirectory:
        """The same run, as another runner sees it."""

    def break_lease(self) -> None:
        """Let another runner take the lease while its holder still works."""

    def put(self, path: str, data: bytes) -> None:
        """Write a file by hand."""

    def delete(self, path: str) -> None:
        """Delete a file by hand."""


class InFolder:
    def __init__(self, tmp_path: Path, source: Path) -> None:
        self.run: RunDirectory = reserve_run(tmp_path / "home", source, run_id="r1")

    def reopen(self) -> RunDirectory:
        return FolderRun(self.run.folder)

    def break_lease(self) -> None:
        (self.run.folder / "lease.lock").unlink()

    def put(self, path: str, data: bytes) -> None:
        (self.run.folder / path).write_bytes(data)

    def delete(self, path: str) -> None:
        (self.run.folder / path).unlink()


class InMemory:
    def __init__(self, tmp_path: Path, source: Path) -> None:
        self._memory = MemoryRun(make_head(source, "r1"))
        self.run: RunDirectory = self._memory

    def reopen(self) -> RunDirectory:
        return self._memory

    def break_lease(self) -> None:
        self._memory.break_lease()

    def put(self, path: str, data: bytes) -> None:
        self._memory.put_file(path, data)

    def delete(self, path: str) -> None:
        self._memory.remove_file(path)


IMPLEMENTATIONS: dict[str, Callable[[Path, Path], RunUnderTest]] = {
    "folder": InFolder,
    "memory": InMemory,
}


@pytest.fixture(params=IMPLEMENTATIONS)
def tested(request: pytest.FixtureRequest, tmp_path: Path, source: Path) -> RunUnderTest:
    return IMPLEMENTATIONS[request.param](tmp_path, source)


@pytest.fixture
def run(tested: RunUnderTest) -> RunDirectory:
    return tested.run


def read(run: RunDirectory, path: str) -> bytes:
    with run.open(path) as file:
        return file.read()


def write(attempt: Attempt, path: str, data: bytes) -> None:
    with attempt.create(path) as file:
        file.write(data)


def record_of(
    run: RunDirectory,
    lease: Lease,
    attempt: Attempt,
    files: Iterable[str] = (),
    status: StageState = StageState.SUCCESS,
) -> StageRecord:
    refs = []
    for path in files:
        facts = attempt.facts(path)
        refs.append(
            ArtifactRef(
                key=path,
                path=path,
                sha256=facts.sha256 if facts else "0" * 64,
                size_bytes=facts.size_bytes if facts else 0,
                media_type="text/plain",
                schema_name="test",
                schema_version=1,
                records=1,
                artifact_type=None,
            )
        )
    failed = status is StageState.FAILED
    return StageRecord(
        asset_id=run.head.asset.id,
        run_id=run.head.run_id,
        stage=attempt.stage,
        attempt=attempt.number,
        epoch=lease.epoch,
        status=status,
        started=attempt.started,
        ended=LATER,
        duration_s=1.0,
        artifacts=tuple(refs),
        producer=PRODUCER,
        error=StageError(code="test", message="failed") if failed else None,
    )


def commit(run: RunDirectory, lease: Lease, number: int, files: dict[str, bytes]) -> StageRecord:
    """Commit a successful attempt at the stage `read`."""
    attempt = run.begin(lease, "read", number, MOMENT)
    for path, data in files.items():
        write(attempt, path, data)
    record = record_of(run, lease, attempt, files)
    run.commit(lease, record)
    return record


def interrupt_after_record(
    run: RunDirectory, lease: Lease, number: int, data: bytes, monkeypatch: pytest.MonkeyPatch
) -> StageRecord:
    """Commit an attempt in a runner that dies before the file gets its name at the root."""

    class DiedError(Exception):
        pass

    def die(*_: object) -> None:
        raise DiedError

    attempt = run.begin(lease, "read", number, MOMENT)
    write(attempt, LETTERS.path, data)
    record = record_of(run, lease, attempt, [LETTERS.path])
    with monkeypatch.context() as patch:
        patch.setattr(type(run), "_install", die)
        with pytest.raises(DiedError):
            run.commit(lease, record)
    return record


# The lease


def test_a_second_lease_is_refused_and_names_the_holder(tested: RunUnderTest) -> None:
    with tested.run.acquire_lease(MOMENT) as lease:
        with (
            pytest.raises(Held, match=re.escape(MOMENT.isoformat())) as refused,
            tested.reopen().acquire_lease(LATER),
        ):
            pass
        assert refused.value.details["holder"]["epoch"] == lease.epoch
        lease.check()


def test_the_run_is_held_until_the_block_ends_however_it_ends(run: RunDirectory) -> None:
    def hold_and_raise(error: BaseException) -> None:
        with run.acquire_lease(MOMENT):
            assert run.is_held()
            raise error

    assert not run.is_held()
    with run.acquire_lease(MOMENT):
        assert run.is_held()
    assert not run.is_held()
    for error in (RuntimeError, KeyboardInterrupt):
        with pytest.raises(error):
            hold_and_raise(error())
        assert not run.is_held()


def test_the_epoch_rises_with_every_lease(run: RunDirectory) -> None:
    epochs = []
    for _ in range(3):
        with run.acquire_lease(MOMENT) as lease:
            epochs.append(lease.epoch)
    assert epochs == [1, 2, 3]


def test_of_concurrent_runners_one_gets_the_lease(tested: RunUnderTest) -> None:
    barrier = threading.Barrier(8)
    outcomes: list[str] = []

    def take() -> None:
        run = tested.reopen()
        barrier.wait()
        try:
            with run.acquire_lease(MOMENT):
                time.sleep(0.5)
                outcomes.append("held")
        except Held:
            outcomes.append("refused")

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["held", *["refused"] * 7]


def test_a_process_that_inherits_the_lock_keeps_the_run_held(run: RunDirectory) -> None:
    waits = [sys.executable, "-c", "input()"]
    with run.acquire_lease(MOMENT) as lease:
        child = subprocess.Popen(waits, stdin=subprocess.PIPE, pass_fds=[lease.lock])
    assert run.is_held()
    with pytest.raises(Held), run.acquire_lease(MOMENT):
        pass
    child.communicate(b"\n")
    assert not run.is_held()
    with run.acquire_lease(MOMENT):
        pass


STALE_CALLS: dict[str, Callable[[RunDirectory, Lease, Attempt], object]] = {
    "begin": lambda run, lease, _: run.begin(lease, "part", 1, MOMENT),
    "commit": lambda run, lease, attempt: run.commit(
        lease, record_of(run, lease, attempt, [LETTERS.path])
    ),
    "discard": lambda run, lease, attempt: run.discard(lease, attempt),
    "remove": lambda run, lease, _: run.remove(lease, [LETTERS.path]),
    "recover": lambda run, lease, _: run.recover(lease),
    "fold": lambda run, lease, _: run.fold_manifest(lease),
    "close": lambda run, lease, _: run.close(lease),
    "seal": lambda run, lease, _: run.seal(lease, seal_of(run)),
    "verdicts": lambda run, lease, _: run.save_verdicts(lease, [blocked_verdict()]),
}


@pytest.mark.parametrize("call", STALE_CALLS)
def test_a_runner_that_lost_its_lease_changes_nothing(tested: RunUnderTest, call: str) -> None:
    run = tested.run
    with run.acquire_lease(MOMENT) as first:
        stale = run.begin(first, "read", 1, MOMENT)
        write(stale, LETTERS.path, b"stale")
        tested.break_lease()
        other = tested.reopen()
        with other.acquire_lease(LATER) as second:
            assert second.epoch > first.epoch
            (lost,) = other.recover(second)
            other.commit(second, record_of(other, second, lost, (), StageState.FAILED))
            commit(other, second, 2, {LETTERS.path: b"new"})
            closed = other.close(second)
            before = other.ledger()
            with pytest.raises(Held, match="taken by another runner"):
                STALE_CALLS[call](run, first, stale)
            assert other.ledger() == before
            assert read(other, LETTERS.path) == b"new"
            assert Manifest.parse(read(other, "manifest.json")) == closed
            assert other.read_seal() is None
            second.check()


# Attempts


def test_an_attempt_is_opened_only_once(tested: RunUnderTest) -> None:
    with tested.run.acquire_lease(MOMENT) as lease:
        tested.run.begin(lease, "read", 1, MOMENT)
        with pytest.raises(Conflict, match=r"read\.a1 already exists"):
            tested.reopen().begin(lease, "read", 1, LATER)


def test_an_open_attempt_is_in_the_ledger_and_its_stage_is_running(tested: RunUnderTest) -> None:
    with tested.run.acquire_lease(MOMENT) as lease:
        attempt = tested.run.begin(lease, "read", 1, MOMENT)
        assert (attempt.stage, attempt.number, attempt.started) == ("read", 1, MOMENT)
        ledger = tested.reopen().ledger()
        (opened,) = ledger.unrecorded_attempts
        assert (opened.stage, opened.attempt, opened.epoch) == ("read", 1, lease.epoch)
        assert opened.started <= MOMENT
        assert not opened.has_files
        assert ledger.state("read") is StageState.RUNNING
        assert ledger.next_attempt("read") == 2


def test_a_discarded_attempt_leaves_nothing(run: RunDirectory) -> None:
    with run.acquire_lease(MOMENT) as lease:
        before = run.ledger()
        attempt = run.begin(lease, "read", 1, MOMENT)
        write(attempt, LETTERS.path, b"x")
        run.discard(lease, attempt)
        assert run.ledger() == before
        assert run.facts(LETTERS.path) is None
        assert run.recover(lease) == ()
        lease.check()


def test_files_of_an_attempt_are_visible_only_after_its_commit(run: RunDirectory) -> None:
    with run.acquire_lease(MOMENT) as lease:
        attempt = run.begin(lease, "read", 1, MOMENT)
        assert attempt.facts(LETTERS.path) is None
        write(attempt, LETTERS.path, b"abc")
        assert attempt.facts(LETTERS.path) == (3, sha256_hex(b"abc"))
        assert attempt.staging_path(LETTERS.path).read_bytes() == b"abc"
        assert run.facts(LETTERS.path) is None
        with pytest.raises(FileNotFoundError):
            run.open(LETTERS.path)
        assert not run.path_of(LETTERS.path).exists()
        run.commit(lease, record_of(run, lease, attempt, [LETTERS.path]))
    assert run.facts(LETTERS.path) == (3, sha256_hex(b"abc"))
    assert read(run, LETTERS.path) == b"abc"
    assert run.path_of(LETTERS.path).read_bytes() == b"abc"


def test_a_file_is_created_only_once_and_removed_if_its_block_fails(run: RunDirectory) -> None:
    def write_half(attempt: Attempt) -> None:
        with attempt.create(LETTERS.path) as file:
            file.write(b"half")
            raise RuntimeError

    with run.acquire_lease(MOMENT) as lease:
        attempt = run.begin(lease, "read", 1, MOMENT)
        with pytest.raises(RuntimeError):
            write_half(attempt)
        assert attempt.facts(LETTERS.path) is None
        assert not attempt.staging_path(LETTERS.path).exists()
        write(attempt, LETTERS.path, b"complete")
        with pytest.raises(Conflict, match="already exists"), attempt.create(LETTERS.path):
            pass
        assert attempt.facts(LETTERS.path) == (8, sha256_hex(b"complete"))


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a/../../x", ""])
def test_a_path_outside_the_run_is_refused(run: RunDirectory, path: str) -> None:
    with run.acquire_lease(MOMENT) as lease:
        attempt = run.begin(lease, "read", 1, MOMENT)
        with pytest.raises(Invalid, match="not inside"), attempt.create(path):
            pass
    calls: list[Callable[[str], object]] = [run.facts, run.open, run.path_of]
    for call in calls:
        with pytest.raises(Invalid, match="not inside"):
            call(path)


# Commits


def test_an_attempt_has_only_one_record(run: RunDirectory) -> None:
    with run.acquire_lease(MOMENT) as lease:
        record = commit(run, lease, 1, {LETTERS.path: b"first"})
        attempt = run.begin(lease, "read", 1, MOMENT)
        write(attempt, LETTERS.path, b"second")
        with pytest.raises(Conflict, match=r"read\.a1\.json already exists"):
            run.commit(lease, record_of(run, lease, attempt, [LETTERS.path]))
        assert run.ledger().records == (record,)
        assert read(run, LETTERS.path) == b"first"


def test_a_record_is_read_back_as_it_was_committed(tested: RunUnderTest) -> None:
    with tested.run.acquire_lease(MOMENT) as lease:
        record = commit(tested.run, lease, 1, {LETTERS.path: b"abc"})
    ledger = tested.reopen().ledger()
    assert ledger.records == (record,)
    assert ledger.record_digests == {record.digest}
    assert ledger.unrecorded_attempts == ()
    assert StageRecord.parse(read(tested.run, "commits/read.a1.json"), "read.a1.json") == record


@pytest.mark.parametrize("status", [StageState.FAILED, StageState.SKIPPED])
def test_an_attempt_that_did_not_succeed_leaves_the_files_at_the_root(
    run: RunDirectory, status: StageState
) -> None:
    with run.acquire_lease(MOMENT) as lease:
        commit(run, lease, 1, {LETTERS.path: b"good"})
        attempt = run.begin(lease, "read", 2, MOMENT)
        write(attempt, LETTERS.path, b"bad")
        run.commit(lease, record_of(run, lease, attempt, (), status))
        assert read(run, LETTERS.path) == b"good"
        assert run.ledger().state("read") is status
        assert run.ledger().unrecorded_attempts == ()


def test_a_later_success_replaces_the_files_of_the_earlier_one(run: RunDirectory) -> None:
    with run.acquire_lease(MOMENT) as lease:
        commit(run, lease, 1, {LETTERS.path: b"1", "folder/old.txt": b"1"})
        commit(run, lease, 2, {LETTERS.path: b"2", "folder/new.txt": b"2"})
        assert read(run, LETTERS.path) == read(run, "folder/new.txt") == b"2"
        assert run.facts("folder/old.txt") is None


def test_a_record_of_a_file_that_was_not_made_is_not_committed(run: RunDirectory) -> None:
    with run.acquire_lease(MOMENT) as lease:
        attempt = run.begin(lease, "read", 1, MOMENT)
        with pytest.raises(FileNotFoundError):
            run.commit(lease, record_of(run, lease, attempt, [LETTERS.path]))
        assert run.ledger().records == ()


@pytest.mark.parametrize(("blocking", "path"), [("a", "a/b.txt"), ("a/b", "a")])
def test_a_file_whose_place_is_blocked_is_not_committed(
    tested: RunUnderTest, blocking: str, path: str
) -> None:
    run = tested.run
    with run.acquire_lease(MOMENT) as lease:
        commit(run, lease, 1, {blocking: b"1"})
        attempt = run.begin(lease, "read", 2, MOMENT)
        write(attempt, path, b"2")
        with pytest.raises(Invalid, match="is not a f"):
            run.commit(lease, record_of(run, lease, attempt, [path]))
        assert [record.attempt for record in run.ledger().records] == [1]
        assert read(run, blocking) == b"1"


def test_files_can_be_removed_and_missing_ones_are_ignored(run: RunDirectory) -> None:
    with run.acquire_lease(MOMENT) as lease:
        commit(run, lease, 1, {LETTERS.path: b"1"})
        for _ in range(2):
            run.remove(lease, [LETTERS.path, "nothing.txt"])
        assert run.facts(LETTERS.path) is None


# Interrupted runners


def test_an_interrupted_attempt_is_returned_and_can_be_recorded(tested: RunUnderTest) -> None:
    with tested.run.acquire_lease(MOMENT) as lease:
        attempt = tested.run.begin(lease, "read", 1, MOMENT)
        write(attempt, LETTERS.path, b"half")
    run = tested.reopen()
    assert run.ledger().state("read") is StageState.RUNNING
    with run.acquire_lease(LATER) as lease:
        (interrupted,) = run.recover(lease)
        assert (interrupted.stage, interrupted.number) == ("read", 1)
        assert len(run.recover(lease)) == 1
        run.commit(lease, record_of(run, lease, interrupted, (), StageState.FAILED))
        assert run.recover(lease) == ()
        assert run.ledger().state("read") is StageState.FAILED
        assert run.ledger().unrecorded_attempts == ()
        assert run.facts(LETTERS.path) is None


def test_recovery_finishes_the_commit_of_an_interrupted_runner(
    tested: RunUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tested.run.acquire_lease(MOMENT) as lease:
        commit(tested.run, lease, 1, {LETTERS.path: b"1", "old.txt": b"1"})
        record = interrupt_after_record(tested.run, lease, 2, b"2", monkeypatch)
    run = tested.reopen()
    ledger = run.ledger()
    assert ledger.current_record("read") == record
    assert not ledger.has_files_in_place(record)
    with run.acquire_lease(LATER) as lease:
        assert run.recover(lease) == ()
        assert read(run, LETTERS.path) == b"2"
        assert run.facts("old.txt") is None
        assert run.ledger().has_files_in_place(record)
        assert run.ledger().unrecorded_attempts == ()


def test_recovery_does_not_move_files_that_a_later_attempt_replaced(
    tested: RunUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tested.run
    with run.acquire_lease(MOMENT) as lease:
        interrupt_after_record(run, lease, 1, b"old", monkeypatch)
        commit(run, lease, 2, {LETTERS.path: b"new"})
        assert run.recover(lease) == ()
        assert read(run, LETTERS.path) == b"new"


# Manifest, verdicts, seal


def test_the_manifest_is_derived_again_and_written_only_with_a_lease(tested: RunUnderTest) -> None:
    run = tested.run
    assert run.fold_manifest(None).status is RunState.INCOMPLETE
    assert run.facts("manifest.json") is None
    with run.acquire_lease(MOMENT) as lease:
        commit(run, lease, 1, {LETTERS.path: b"1"})
        first = run.fold_manifest(lease)
        assert first.status is RunState.RUNNING
        assert Manifest.parse(read(run, "manifest.json")) == first
        commit(run, lease, 2, {LETTERS.path: b"2"})
        assert tested.reopen().fold_manifest(None).revision > first.revision
        assert Manifest.parse(read(run, "manifest.json")) == first
        tested.put("manifest.json", b"edited by hand")
        closed = run.close(lease)
    assert closed == fold(run.ledger(), is_held=False)
    assert closed.status is RunState.INCOMPLETE
    assert read(run, "manifest.json") == closed.to_bytes() == run.manifest_bytes(closed)


def blocked_verdict() -> Verdict:
    reason = Reason(
        code=ReasonCode.UPSTREAM_FAILED,
        stage="read",
        expected="SUCCESS",
        got="FAILED",
        action="Run read again",
    )
    return Verdict(stage="part", reasons=(reason,))


def test_saved_verdicts_replace_the_earlier_ones(tested: RunUnderTest) -> None:
    run = tested.run
    with run.acquire_lease(MOMENT) as lease:
        run.save_verdicts(lease, [blocked_verdict()])
        assert tested.reopen().ledger().verdicts == (blocked_verdict(),)
        assert run.fold_manifest(lease).stages["part"].status is StageState.BLOCKED
        run.save_verdicts(lease, [])
        assert tested.reopen().ledger().verdicts == ()


def seal_of(run: RunDirectory) -> Seal:
    manifest = run.fold_manifest(None).to_bytes().decode()
    return Seal(manifest=manifest, sealed_at=LATER, to="s3://bucket")


def test_an_erasure_may_change_a_sealed_run_and_replace_its_seal(tested: RunUnderTest) -> None:
    run = tested.run
    with run.acquire_lease(MOMENT) as lease:
        commit(run, lease, 1, {LETTERS.path: b"1"})
        run.close(lease)
    seal = seal_of(run)
    with run.acquire_lease(LATER) as lease:
        run.seal(lease, seal)
        attempt = run.begin(lease, "read", 2, LATER, despite_seal=True)
        run.discard(lease, attempt)
        renewed = seal.model_copy(update={"published_sha256": sha256_hex(b"as published")})
        run.seal(lease, renewed, replace=True)
    assert tested.reopen().read_seal() == renewed


def test_a_sealed_run_does_not_change(tested: RunUnderTest) -> None:
    run = tested.run
    with run.acquire_lease(MOMENT) as lease:
        commit(run, lease, 1, {LETTERS.path: b"1"})
        run.close(lease)
    sealed = run.fold_manifest(None)
    run.check_not_sealed()
    assert run.read_seal() is None
    seal = seal_of(run)
    with run.acquire_lease(LATER) as lease:
        run.seal(lease, seal)
        other = tested.reopen()
        changes: list[Callable[[], object]] = [
            lambda: other.seal(lease, seal),
            lambda: other.begin(lease, "read", 2, LATER),
            lambda: other.save_verdicts(lease, [blocked_verdict()]),
            other.check_not_sealed,
        ]
        for change in changes:
            with pytest.raises(Conflict):
                change()
        assert other.close(lease) == sealed
    assert other.read_seal() == seal
    assert other.fold_manifest(None) == sealed
    assert other.manifest_bytes(sealed) == seal.manifest.encode()
    assert read(other, "manifest.json") == seal.manifest.encode()


# Changes by hand


def test_a_changed_or_deleted_file_is_noticed(tested: RunUnderTest) -> None:
    run = tested.run
    with run.acquire_lease(MOMENT) as lease:
        commit(run, lease, 1, {LETTERS.path: b"1"})
    tested.put(LETTERS.path, b"22")
    assert run.facts(LETTERS.path) == (2, sha256_hex(b"22"))
    assert run.path_of(LETTERS.path).read_bytes() == read(run, LETTERS.path) == b"22"
    tested.delete(LETTERS.path)
    assert run.facts(LETTERS.path) is None
    assert not run.path_of(LETTERS.path).exists()
    with pytest.raises(FileNotFoundError):
        run.open(LETTERS.path)


def test_a_torn_record_is_foreign_and_its_attempt_is_used(tested: RunUnderTest) -> None:
    with tested.run.acquire_lease(MOMENT) as lease:
        commit(tested.run, lease, 1, {LETTERS.path: b"1"})
    tested.put("commits/read.a1.json", read(tested.run, "commits/read.a1.json")[:100])
    ledger = tested.reopen().ledger()
    assert ledger.records == ()
    (foreign,) = ledger.all_foreign_records
    assert (foreign.stage, foreign.attempt, foreign.is_of_another_run) == ("read", 1, False)
    assert ledger.next_attempt("read") == 2


def test_a_record_of_another_run_is_foreign(tested: RunUnderTest) -> None:
    with tested.run.acquire_lease(MOMENT) as lease:
        record = commit(tested.run, lease, 1, {LETTERS.path: b"1"})
    fields = record.model_dump() | {"run_id": "another", "attempt": 2}
    foreign_record = StageRecord.model_validate(fields)
    tested.put("commits/read.a2.json", foreign_record.to_bytes())
    tested.put("commits/unknown.a1.json", b"not a record of a stage")
    ledger = tested.reopen().ledger()
    assert ledger.records == (record,)
    (foreign,) = ledger.all_foreign_records
    assert (foreign.attempt, foreign.is_of_another_run) == (2, True)


# Logs and status


def test_events_are_appended_to_the_log_of_their_stage(run: RunDirectory) -> None:
    for number in range(3):
        run.log("read", {"event": "x", "number": number})
    run.log("part", {"event": "y"})
    lines = read(run, "logs/read.ndjson").splitlines()
    assert [json.loads(line)["number"] for line in lines] == [0, 1, 2]


def test_the_status_is_replaced(run: RunDirectory) -> None:
    for epoch in (1, 2):
        run.write_status({"epoch": epoch})
    assert json.loads(read(run, "status.json")) == {"epoch": 2}


# With the engine


def test_a_plan_makes_the_same_manifest_and_files_in_every_run_directory(
    tmp_path: Path, source: Path
) -> None:
    manifests, files = [], []
    for make in IMPLEMENTATIONS.values():
        run = make(tmp_path, source).run
        manifest = execute(run, source)
        assert manifest.status is RunState.SUCCESS
        assert read(run, "manifest.json") == manifest.to_bytes()
        assert json.loads(read(run, "status.json"))["epoch"] == 1
        body = manifest.model_dump(mode="json")
        for entry in body["stages"].values():
            del entry["duration_s"], entry["record_sha256"], entry["lineage"]
        del body["metrics"]["wall_s"]
        manifests.append(body)
        files.append([read(run, contract.path) for contract in (LETTERS, SCENES, WORDS)])
    assert manifests[0] == manifests[1]
    assert files[0] == files[1]


def test_an_intact_run_is_reused_and_an_altered_one_is_blocked_then_repaired(
    tested: RunUnderTest, source: Path
) -> None:
    run = tested.run
    execute(run, source)
    observer = RecordingObserver()
    execute(run, source, observer=observer)
    assert observer.ran == []
    good = read(run, LETTERS.path)
    tested.put(LETTERS.path, b'{"letters":["z"]}\n')
    assert verify(run, PLAN).stages["read"].status is StageState.BLOCKED
    blocked = execute(run, source)
    assert blocked.is_blocked
    assert blocked.stages["read"].status is StageState.BLOCKED
    assert execute(run, source, repair=True).status is RunState.SUCCESS
    assert read(run, LETTERS.path) == good
    assert verify(run, PLAN).status is RunState.SUCCESS


def test_a_file_edited_by_hand_can_be_adopted(tested: RunUnderTest, source: Path) -> None:
    run = tested.run
    execute(run, source)
    tested.put(LETTERS.path, b'{"letters":["z"]}\n')
    adopted = adopt(
        plan=PLAN,
        run=run,
        stage=PLAN.find_stage("read"),
        registry=BUILT_IN,
        clock=lambda: LATER,
        sinks=(),
    )
    assert adopted.stages["read"].attempt == 2
    assert adopted.stages["part"].status is StageState.PENDING
    assert execute(run, source).status is RunState.SUCCESS
    assert read(run, SCENES.path).count(b"\n") == 1
