"""One runner at a time: with child processes, stopped runners, clock jumps and concurrency."""

import json
import os
import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path

import pytest

from filmgate.core.errors import Held
from filmgate.core.manifest import fold
from filmgate.core.plan import Done, Outcome, Plan, Settings, stage
from filmgate.core.ports import StageContext
from filmgate.core.records import StageError
from filmgate.core.states import RunState, StageState
from filmgate.engine.attempt import AttemptResult, RecordWriter
from filmgate.engine.executors.process_pool import ProcessPool
from filmgate.store.run_directory import FolderRun
from support.items import sleep_long
from support.runs import (
    MOMENT,
    PLAN,
    PRODUCER,
    RecordingObserver,
    artifact_bytes,
    execute,
    reserve_run,
)

FORK = get_context("fork")


def wait_until(condition: Callable[[], object], timeout_s: float = 20) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "the condition was not met in time"
        time.sleep(0.005)


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_a_child_that_outlives_its_runner_keeps_the_run_held(tmp_path: Path, source: Path) -> None:
    run = reserve_run(tmp_path / "home", source)
    orphan_pid = tmp_path / "orphan"

    runner = os.fork()
    if runner == 0:
        with run.acquire_lease(MOMENT):
            if (orphan := os.fork()) == 0:
                time.sleep(60)
                os._exit(0)
            orphan_pid.write_text(str(orphan))
            os.kill(os.getpid(), signal.SIGKILL)
    _, status = os.waitpid(runner, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    with pytest.raises(Held, match=f"process {runner}"):
        execute(run, source)
    os.kill(int(orphan_pid.read_text()), signal.SIGKILL)
    wait_until(lambda: not run.is_held())
    assert execute(run, source).status is RunState.SUCCESS


def test_workers_keep_the_run_held_and_end_with_their_runner(tmp_path: Path, source: Path) -> None:
    run = reserve_run(tmp_path / "home", source)
    started = tmp_path / "started"

    def runner() -> None:
        with run.acquire_lease(MOMENT) as lease:
            list(ProcessPool(1, lease.lock).map(sleep_long, [str(tmp_path)]))

    child = FORK.Process(target=runner)
    child.start()
    wait_until(lambda: started.exists() and started.read_text())
    worker = int(started.read_text())
    locks = {
        os.stat(link).st_ino  # noqa: PTH116 - follows the link of an open file
        for link in Path(f"/proc/{worker}/fd").iterdir()
        if str(link.readlink()).endswith("lease.lock")
    }
    assert locks == {(run.folder / "lease.lock").stat().st_ino}
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    child.join(20)
    wait_until(lambda: not is_alive(worker))
    wait_until(lambda: not run.is_held())
    assert execute(run, source).status is RunState.SUCCESS


def test_no_worker_holds_the_run_longer_than_its_pool(tmp_path: Path, source: Path) -> None:
    run = reserve_run(tmp_path / "home", source)
    for _ in range(10):
        with run.acquire_lease(MOMENT) as lease:
            pool = ProcessPool(2, lease.lock)
            items = [bytes(50_000_000)] * 2  # the kernel needs time to free this memory
            assert [mapped.value for mapped in pool.map(len, items)] == [50_000_000] * 2
            pool.close()
        assert not run.is_held()
        with run.acquire_lease(MOMENT):
            pass


def test_a_suspended_runner_keeps_its_lease_and_finishes_after_it_is_resumed(
    tmp_path: Path, source: Path
) -> None:
    run = reserve_run(tmp_path / "home", source)
    working = tmp_path / "working"

    @stage()
    def slow(context: StageContext, settings: Settings) -> Outcome:
        working.touch()
        time.sleep(0.2)
        return Done(producer=PRODUCER)

    plan = Plan(pipeline="slow", stages=(slow,))
    run = reserve_run(tmp_path / "home", source, plan=plan)
    child = FORK.Process(target=lambda: execute(run, source, plan=plan))
    child.start()
    wait_until(working.exists)
    assert child.pid is not None
    os.kill(child.pid, signal.SIGSTOP)
    with pytest.raises(Held):
        execute(run, source, plan=plan)
    os.kill(child.pid, signal.SIGCONT)
    child.join(20)
    assert child.exitcode == 0
    assert run.fold_manifest(None).stages["slow"].status is StageState.SUCCESS


def test_a_runner_whose_lock_file_was_removed_is_fenced_by_its_epoch(
    tmp_path: Path, source: Path
) -> None:
    run = reserve_run(tmp_path / "home", source)
    with run.acquire_lease(MOMENT) as first:
        attempt = run.begin(first, "read", 1, MOMENT)
        (run.folder / "lease.lock").unlink()
        with run.acquire_lease(MOMENT) as second:
            assert second.epoch > first.epoch
            stale_writer = RecordWriter(run, first, lambda: MOMENT)
            with pytest.raises(Held, match="taken by another runner"):
                stale_writer.commit_failure(attempt, failure("x", "late"))
    assert run.ledger().records == ()


def failure(code: str, message: str) -> AttemptResult:
    error = StageError(code=code, message=message)
    return AttemptResult(status=StageState.FAILED, error=error)


def test_clock_jumps_change_dates_and_nothing_else(tmp_path: Path, source: Path) -> None:
    steady, jumping = (reserve_run(tmp_path / name, source) for name in ("steady", "jumping"))
    execute(steady, source)
    years = iter(range(0, 10_000, 7))

    def clock() -> datetime:
        return datetime(2040, 1, 1, tzinfo=UTC) - timedelta(days=next(years) * 3)

    execute(jumping, source, clock=clock, stages=["read"])
    observer = RecordingObserver()
    manifest = execute(jumping, source, clock=clock, force=True, observer=observer)
    assert manifest.status is RunState.SUCCESS
    assert [manifest.stages[name].attempt for name in PLAN.names] == [2, 1, 1]
    assert artifact_bytes(jumping) == artifact_bytes(steady)
    observer = RecordingObserver()
    execute(jumping, source, clock=clock, observer=observer)
    assert observer.ran == []


def merge_repeatedly(run: FolderRun, merges: int) -> None:
    """Take the lease, record a failed attempt and fold the manifest, `merges` times."""
    for _ in range(merges):
        while True:
            try:
                with run.acquire_lease(MOMENT) as lease:
                    ledger = run.ledger()
                    number = ledger.next_attempt("read")
                    attempt = run.begin(lease, "read", number, MOMENT)
                    writer = RecordWriter(run, lease, lambda: MOMENT)
                    writer.commit_failure(attempt, failure("merge", f"of {os.getpid()}"))
                    run.fold_manifest(lease)
                break
            except Held:
                time.sleep(0.001)


def assert_no_update_is_lost(run: FolderRun, writers: int, merges: int) -> None:
    children = [FORK.Process(target=merge_repeatedly, args=(run, merges)) for _ in range(writers)]
    for child in children:
        child.start()
    for child in children:
        child.join(300)
        assert child.exitcode == 0
    records = FolderRun(run.folder).ledger().records
    assert sorted(record.attempt for record in records) == list(range(1, writers * merges + 1))
    by_writer = [record.error.message for record in records if record.error]
    assert all(by_writer.count(f"of {child.pid}") == merges for child in children)
    with run.acquire_lease(MOMENT) as lease:
        closed = run.close(lease)
    assert closed == fold(FolderRun(run.folder).ledger(), is_held=False)
    assert closed.stages["read"].attempt == writers * merges


def test_concurrent_merges_lose_no_update(tmp_path: Path, source: Path) -> None:
    assert_no_update_is_lost(reserve_run(tmp_path / "home", source), writers=3, merges=8)


@pytest.mark.parametrize(
    ("writers", "merges"),
    [
        pytest.param(4, 100, marks=pytest.mark.proof),
        pytest.param(8, 100, marks=pytest.mark.nightly),
    ],
)
def test_hundreds_of_concurrent_merges_lose_no_update(
    tmp_path: Path, source: Path, writers: int, merges: int
) -> None:
    assert_no_update_is_lost(reserve_run(tmp_path / "home", source), writers, merges)


def assert_each_stage_ran_once(tmp_path: Path, source: Path, runners: int) -> None:
    run = reserve_run(tmp_path / "home", source)
    start = FORK.Barrier(runners)
    reports = tmp_path / f"reports-{run.folder.name}"
    reports.mkdir()

    def runner() -> None:
        observer = RecordingObserver()
        start.wait(20)
        try:
            execute(FolderRun(run.folder), source, observer=observer)
        except Held:
            observer.ended["held"] = StageState.PENDING
        report = {"ran": observer.ran, "held": "held" in observer.ended}
        (reports / str(os.getpid())).write_text(json.dumps(report))

    children = [FORK.Process(target=runner) for _ in range(runners)]
    for child in children:
        child.start()
    for child in children:
        child.join(60)
        assert child.exitcode == 0
    ran = [name for path in reports.iterdir() for name in json.loads(path.read_text())["ran"]]
    assert sorted(ran) == sorted(PLAN.names)
    assert run.fold_manifest(None).status is RunState.SUCCESS


def test_of_several_concurrent_runners_one_does_the_work(tmp_path: Path, source: Path) -> None:
    for _ in range(3):
        assert_each_stage_ran_once(tmp_path, source, runners=3)


@pytest.mark.parametrize(
    "times",
    [pytest.param(60, marks=pytest.mark.proof), pytest.param(1000, marks=pytest.mark.nightly)],
)
def test_of_two_concurrent_runners_one_does_the_work_every_time(
    tmp_path: Path, source: Path, times: int
) -> None:
    for _ in range(times):
        assert_each_stage_ran_once(tmp_path, source, runners=2)
