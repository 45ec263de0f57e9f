"""Markers of open attempts: written by the runner, read by observers and after a crash."""

import json
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from filmgate.core.errors import Conflict
from filmgate.core.records import StageRecord
from filmgate.core.states import RunState, StageState
from filmgate.engine.verification import verify
from filmgate.store.run_directory import FolderRun
from support.runs import LETTERS, MOMENT, SCENES, execute, finished_run, reserve_run

LATER = MOMENT + timedelta(hours=1)


def record_of(run: FolderRun, name: str) -> StageRecord:
    """The record with that file name."""
    records = FolderRun(run.folder).ledger().records
    return next(record for record in records if record.name == name)


def test_an_attempt_is_opened_only_once_also_by_two_objects_of_the_run(
    tmp_path: Path, source: Path
) -> None:
    run = reserve_run(tmp_path / "home", source)
    with run.acquire_lease(MOMENT) as lease:
        run.begin(lease, "read", 1, MOMENT)
        with pytest.raises(Conflict, match=r"read\.a1 already exists"):
            FolderRun(run.folder).begin(lease, "read", 1, LATER)


def test_opening_and_discarding_attempts_keeps_the_lease_valid(
    tmp_path: Path, source: Path
) -> None:
    run = reserve_run(tmp_path / "home", source)
    with run.acquire_lease(MOMENT) as lease:
        for stage in ("read", "part"):
            run.discard(lease, run.begin(lease, stage, 1, MOMENT))
        lease.check()


def test_the_marker_of_an_interrupted_attempt_has_the_time_of_its_lease(
    tmp_path: Path, source: Path
) -> None:
    run = reserve_run(tmp_path / "home", source)
    with run.acquire_lease(LATER) as lease:
        run.begin(lease, "read", 1, LATER)
    (opened,) = FolderRun(run.folder).ledger().unrecorded_attempts
    assert (opened.epoch, opened.started, opened.has_files) == (1, LATER, False)
    assert execute(run, source).stages["read"].attempt == 2
    interrupted = record_of(run, "read.a1.json")
    assert interrupted.error is not None
    assert (interrupted.error.code, interrupted.started) == ("interrupted", LATER)
    assert not list((run.folder / "attempts").iterdir())


def test_the_marker_of_an_earlier_version_has_the_start_of_its_attempt(
    tmp_path: Path, source: Path
) -> None:
    run = reserve_run(tmp_path / "home", source)
    marker = {"epoch": 7, "started": LATER.isoformat()}
    (run.folder / "attempts" / "read.a1").write_text(json.dumps(marker))
    (opened,) = run.ledger().unrecorded_attempts
    assert (opened.epoch, opened.started) == (7, LATER)
    execute(run, source)
    assert record_of(run, "read.a1.json").started == LATER


@pytest.mark.parametrize(
    "make",
    [
        os.mkfifo,
        Path.touch,
        lambda path: path.symlink_to(path),
        lambda path: path.symlink_to("nowhere"),
        lambda path: path.write_bytes(b"\0" * 100),
        lambda path: path.write_text('{"epoch": 1e999, "since": 7}'),
        lambda path: path.write_text("[" * 100_000),
        lambda path: path.write_text("[]"),
    ],
    ids=["fifo", "empty", "loop", "dangling", "zeros", "numbers", "deep", "list"],
)
def test_an_unreadable_marker_still_means_an_interrupted_attempt(
    tmp_path: Path, source: Path, make: Callable[[Path], object]
) -> None:
    run = reserve_run(tmp_path / "home", source)
    make(run.folder / "attempts" / "read.a1")
    (opened,) = run.ledger().unrecorded_attempts
    assert (opened.epoch, opened.started) == (1, run.head.created_at)
    manifest = execute(run, source)
    assert (manifest.status, manifest.stages["read"].attempt) == (RunState.SUCCESS, 2)
    assert record_of(run, "read.a1.json").status is StageState.FAILED
    assert not list((run.folder / "attempts").iterdir())


@pytest.mark.parametrize("fault", ["alter", "remove"])
def test_a_marker_left_after_the_commit_hides_no_fault(
    tmp_path: Path, source: Path, fault: str
) -> None:
    run = finished_run(tmp_path, source)
    for stage in ("read", "part"):
        (run.folder / "attempts" / f"{stage}.a1").write_text("{}")
    assert verify(run).status is RunState.SUCCESS
    scenes = run.folder / SCENES.path
    if fault == "alter":
        scenes.write_bytes(scenes.read_bytes() + b"\n")
    else:
        scenes.unlink()
    assert verify(run).status is RunState.FAILED


def test_files_still_in_staging_are_not_a_fault(tmp_path: Path, source: Path) -> None:
    run = finished_run(tmp_path, source)
    (run.folder / LETTERS.path).rename(run.folder / "attempts" / f"read.a1.{LETTERS.path}")
    assert verify(run).status is RunState.SUCCESS


def test_a_system_without_fadvise_runs_normally(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("not supported")

    monkeypatch.setattr(os, "posix_fadvise", refuse)
    assert finished_run(tmp_path, source).ledger().records
