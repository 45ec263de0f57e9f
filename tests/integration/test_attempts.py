"""Notes of attempts: who is at work, for its runner, for who looks on, and after a crash."""

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
from support.runs import LETTERS, MOMENT, SCENES, execute, finished, reserve_run

LATER = MOMENT + timedelta(hours=1)


def record_of(run: FolderRun, name: str) -> StageRecord:
    """A record by its file's name."""
    return next(each for each in FolderRun(run.folder).ledger().records if each.name == name)


def test_an_attempt_is_begun_once_whoever_else_believes_to_hold_the_run(
    tmp_path: Path, source: Path
) -> None:
    run = reserve_run(tmp_path / "home", source)
    with run.hold(MOMENT) as lease:
        run.begin(lease, "read", 1, MOMENT)
        with pytest.raises(Conflict, match=r"read\.a1 exists already"):
            FolderRun(run.folder).begin(lease, "read", 1, LATER)


def test_attempts_and_their_ends_do_not_pass_for_another_holder(
    tmp_path: Path, source: Path
) -> None:
    run = reserve_run(tmp_path / "home", source)
    with run.hold(MOMENT) as lease:
        for stage in ("read", "part"):
            run.discard(lease, run.begin(lease, stage, 1, MOMENT))
        lease.check()


def test_the_note_of_a_dead_attempt_says_when_its_runner_took_the_run(
    tmp_path: Path, source: Path
) -> None:
    run = reserve_run(tmp_path / "home", source)
    with run.hold(LATER) as lease:
        run.begin(lease, "read", 1, LATER)
    (opened,) = FolderRun(run.folder).ledger().open_attempts
    assert (opened.epoch, opened.started, opened.has_files) == (1, LATER, False)
    assert execute(run, source).stages["read"].attempt == 2
    dead = record_of(run, "read.a1.json")
    assert dead.error is not None
    assert (dead.error.code, dead.started) == ("interrupted", LATER)
    assert not list((run.folder / "attempts").iterdir())


def test_a_note_of_an_earlier_version_says_when_its_attempt_began(
    tmp_path: Path, source: Path
) -> None:
    run = reserve_run(tmp_path / "home", source)
    note = {"epoch": 7, "started": LATER.isoformat()}
    (run.folder / "attempts" / "read.a1").write_text(json.dumps(note))
    (opened,) = run.ledger().open_attempts
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
def test_a_note_that_cannot_be_read_still_says_that_an_attempt_died(
    tmp_path: Path, source: Path, make: Callable[[Path], object]
) -> None:
    run = reserve_run(tmp_path / "home", source)
    make(run.folder / "attempts" / "read.a1")
    (opened,) = run.ledger().open_attempts
    assert (opened.epoch, opened.started) == (1, run.head.created_at)
    manifest = execute(run, source)
    assert (manifest.status, manifest.stages["read"].attempt) == (RunState.SUCCESS, 2)
    assert record_of(run, "read.a1.json").status is StageState.FAILED
    assert not list((run.folder / "attempts").iterdir())


@pytest.mark.parametrize("fault", ["alter", "remove"])
def test_a_note_that_outlived_its_record_hides_no_fault(
    tmp_path: Path, source: Path, fault: str
) -> None:
    run = finished(tmp_path, source)
    for stage in ("read", "part"):
        (run.folder / "attempts" / f"{stage}.a1").write_text("{}")
    assert verify(run).status is RunState.SUCCESS
    scenes = run.folder / SCENES.path
    if fault == "alter":
        scenes.write_bytes(scenes.read_bytes() + b"\n")
    else:
        scenes.unlink()
    assert verify(run).status is RunState.FAILED


def test_files_that_were_not_named_yet_are_no_fault(tmp_path: Path, source: Path) -> None:
    run = finished(tmp_path, source)
    (run.folder / LETTERS.path).rename(run.folder / "attempts" / f"read.a1.{LETTERS.path}")
    assert verify(run).status is RunState.SUCCESS


def test_a_system_that_takes_no_advice_on_files_runs_all_the_same(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("not here")

    monkeypatch.setattr(os, "posix_fadvise", refuse)
    assert finished(tmp_path, source).ledger().records
