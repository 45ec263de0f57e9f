"""The engine on real folders: which stages run, what is refused, and what survives a crash."""

import errno
import json
import os
import signal
import threading
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from filmgate.core.errors import Conflict, Held, Invalid, NotFound
from filmgate.core.files import document
from filmgate.core.gates import ReasonCode
from filmgate.core.manifest import Manifest
from filmgate.core.payloads.built_in import BUILT_IN
from filmgate.core.plan import Done, Outcome, Plan, Settings, Skipped, stage
from filmgate.core.ports import StageContext, Timed
from filmgate.core.states import RunState, StageState
from filmgate.engine.gate_checker import GateChecker
from filmgate.engine.inputs import read_inputs
from filmgate.engine.verification import verify
from filmgate.store.event_log import read_events
from filmgate.store.home import Home
from filmgate.store.run_directory import FolderRun
from support.runs import (
    LETTERS,
    MOMENT,
    PLAN,
    PRODUCER,
    SCENES,
    WORDS,
    Letters,
    RecordingObserver,
    artifact_bytes,
    execute,
    finished_run,
    reserve_run,
    scenes_of,
)

FORK = get_context("fork")


def reason_codes(manifest: Manifest, name: str) -> list[ReasonCode]:
    blocked = manifest.stages[name].blocked
    return [reason.code for reason in blocked.reasons] if blocked else []


def run_in_child(work: Callable[[], object]) -> int:
    """Run in a child process; return its exit code, which is negative for a signal."""
    child = FORK.Process(target=work)
    child.start()
    child.join(30)
    assert child.exitcode is not None
    return child.exitcode


def test_a_run_ends_with_every_stage_a_success_and_every_file_named_by_digest(
    tmp_path: Path, source: Path
) -> None:
    run = finished_run(tmp_path, source)
    manifest = Manifest.parse((run.folder / "manifest.json").read_bytes())
    assert {name: entry.status for name, entry in manifest.stages.items()} == dict.fromkeys(
        PLAN.names, StageState.SUCCESS
    )
    for _, _, ref in manifest.artifact_refs:
        facts = run.facts(ref.path)
        assert facts is not None
        assert (facts.sha256, facts.size_bytes) == (ref.sha256, ref.size_bytes)


def test_the_manifest_is_rebuilt_byte_for_byte_from_the_records(
    tmp_path: Path, source: Path
) -> None:
    run = finished_run(tmp_path, source)
    written = (run.folder / "manifest.json").read_bytes()
    assert FolderRun(run.folder).fold_manifest(None).to_bytes() == written


def test_a_stage_that_is_up_to_date_is_not_run_again(tmp_path: Path, source: Path) -> None:
    run = finished_run(tmp_path, source)
    written = (run.folder / "manifest.json").read_bytes()
    observer = RecordingObserver()
    execute(run, source, observer=observer)
    assert observer.ran == []
    assert (run.folder / "manifest.json").read_bytes() == written


def flip_byte_keeping_time(path: Path) -> None:
    """Change one byte; keep the size and the modification time."""
    stat = path.stat()
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def cut_in_half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


TAMPERING = [flip_byte_keeping_time, cut_in_half, Path.unlink]


@pytest.mark.parametrize("tamper", TAMPERING)
def test_a_tampered_upstream_file_blocks_the_next_stage_and_is_named_with_both_digests(
    tmp_path: Path, source: Path, tamper: Callable[[Path], None]
) -> None:
    run = reserve_run(tmp_path / "home", source)
    first = execute(run, source, stages=["read"])
    (ref,) = first.stages["read"].artifacts
    tamper(run.folder / LETTERS.path)
    found = run.facts(LETTERS.path)
    observer = RecordingObserver()
    manifest = execute(run, source, stages=["part"], observer=observer)
    assert observer.ran == []
    assert manifest.stages["part"].status is StageState.BLOCKED
    assert manifest.stages["part"].blocked is not None
    reason = manifest.stages["part"].blocked.reasons[0]
    assert reason.path == LETTERS.path
    assert ref.sha256 in reason.expected
    assert (found.sha256 if found else "no file") in reason.got


@pytest.mark.parametrize("tamper", TAMPERING)
def test_a_stage_does_not_overwrite_its_own_altered_file(
    tmp_path: Path, source: Path, tamper: Callable[[Path], None]
) -> None:
    run = finished_run(tmp_path, source)
    tamper(run.folder / SCENES.path)
    manifest = execute(run, source)
    assert manifest.stages["part"].status is StageState.BLOCKED
    assert reason_codes(manifest, "part")[0] in {
        ReasonCode.MISSING_ARTIFACT,
        ReasonCode.DIGEST_MISMATCH,
    }


@pytest.mark.parametrize("tamper", TAMPERING)
def test_repair_makes_the_file_again_and_no_later_file_if_the_bytes_are_equal(
    tmp_path: Path, source: Path, tamper: Callable[[Path], None]
) -> None:
    run = finished_run(tmp_path, source)
    original = artifact_bytes(run)
    tamper(run.folder / LETTERS.path)
    observer = RecordingObserver()
    manifest = execute(run, source, stages=["speak"], repair=True, observer=observer)
    assert observer.ran == ["read"]
    assert manifest.status is RunState.SUCCESS
    assert artifact_bytes(run) == original


def test_a_blocked_run_is_successful_again_after_the_file_is_restored(
    tmp_path: Path, source: Path
) -> None:
    run = finished_run(tmp_path, source)
    before = (run.folder / "manifest.json").read_bytes()
    original = (run.folder / LETTERS.path).read_bytes()
    cut_in_half(run.folder / LETTERS.path)
    assert execute(run, source).status is RunState.FAILED
    (run.folder / LETTERS.path).write_bytes(original)
    assert execute(run, source).status is RunState.SUCCESS
    assert (run.folder / "manifest.json").read_bytes() == before


def test_another_input_blocks_every_stage_of_the_run(tmp_path: Path, source: Path) -> None:
    run = finished_run(tmp_path, source)
    source.write_text("other")
    manifest = execute(run, source)
    assert {reason_codes(manifest, name)[0] for name in PLAN.names} == {ReasonCode.INPUT_CHANGED}


def test_force_opens_the_next_attempt_and_equal_bytes_run_no_later_stage(
    tmp_path: Path, source: Path
) -> None:
    run = finished_run(tmp_path, source)
    observer = RecordingObserver()
    manifest = execute(run, source, stages=["read"], force=True, observer=observer)
    assert observer.ran == ["read"]
    assert manifest.stages["read"].attempt == 2
    assert manifest.status is RunState.SUCCESS


def test_a_failed_stage_blocks_the_stages_that_depend_on_it_and_has_an_error(
    tmp_path: Path, source: Path
) -> None:
    source.write_text("!")
    run = reserve_run(tmp_path / "home", source)
    manifest = execute(run, source)
    error = manifest.stages["read"].error
    assert error is not None
    assert "the source is invalid" in error.message
    assert reason_codes(manifest, "part") == [ReasonCode.UPSTREAM_FAILED]
    assert manifest.status is RunState.FAILED
    assert artifact_bytes(run) == {}


def test_a_skipped_stage_has_a_reason_and_a_stage_that_uses_it_runs(
    tmp_path: Path, source: Path
) -> None:
    source.write_text("")
    run = reserve_run(tmp_path / "home", source)
    manifest = execute(run, source)
    assert manifest.stages["part"].status is StageState.SKIPPED
    assert manifest.stages["part"].reason == "no letters"
    assert manifest.stages["speak"].status is StageState.SUCCESS
    assert manifest.status is RunState.SUCCESS


def test_a_skipped_stage_that_was_selected_by_name_is_blocked(tmp_path: Path, source: Path) -> None:
    source.write_text("")
    run = reserve_run(tmp_path / "home", source)
    manifest = execute(run, source, stages=["read", "part"])
    assert reason_codes(manifest, "part") == [ReasonCode.PROVIDER_UNAVAILABLE]


def scenes_backwards() -> list[Timed]:
    return list(scenes_of(3))[::-1]


@pytest.mark.parametrize(
    ("make_scenes", "message"),
    [(scenes_backwards, "out of order"), (list, "too few records")],
)
def test_a_file_that_breaks_its_contract_is_never_committed(
    tmp_path: Path, source: Path, make_scenes: Callable[[], list[Timed]], message: str
) -> None:
    @stage(makes=[SCENES])
    def broken(context: StageContext, settings: Settings) -> Outcome:
        context.write_artifacts(SCENES, make_scenes())
        return Done(producer=PRODUCER)

    plan = Plan(pipeline="broken", stages=(broken,))
    run = reserve_run(tmp_path / "home", source, plan=plan)
    error = execute(run, source, plan=plan).stages["broken"].error
    assert error is not None
    assert message in error.message
    assert not (run.folder / SCENES.path).exists()


@pytest.mark.parametrize("message", ["did not declare", "did not make", "did not verify"])
def test_a_stage_that_reads_or_writes_undeclared_files_fails(
    tmp_path: Path, source: Path, message: str
) -> None:
    makes = [] if message == "did not declare" else [LETTERS]

    @stage(makes=makes)
    def undeclared(context: StageContext, settings: Settings) -> Outcome:
        if message == "did not declare":
            context.write_document(LETTERS, Letters(letters=[]))
        elif message == "did not verify":
            context.read_document(SCENES, Letters)
        return Done(producer=PRODUCER)

    plan = Plan(pipeline="undeclared", stages=(undeclared,))
    run = reserve_run(tmp_path / "home", source, plan=plan)
    error = execute(run, source, plan=plan).stages["undeclared"].error
    assert error is not None
    assert message in error.message


POINTS = ["open", "mkdir", "write", "fsync", "link", "replace", "unlink"]
"""Functions of `os` that change the disk, or make a change durable."""


def execute_and_kill(run: FolderRun, source: Path, point: str, nth: int) -> int:
    """Execute in a child that is killed at its nth call of a function; return its exit code."""

    def work() -> None:
        real = getattr(os, point)
        remaining = nth

        def counted(*args: Any, **kwargs: Any) -> Any:
            nonlocal remaining
            remaining -= point != "open" or bool(args[1] & os.O_CREAT)
            if not remaining:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **kwargs)

        setattr(os, point, counted)
        execute(run, source)

    return run_in_child(work)


def run_without_empty_folders(tmp_path: Path, source: Path) -> FolderRun:
    """A new run whose empty folders were dropped, as some copying tools do."""
    run = reserve_run(tmp_path / "home", source)
    for folder in [path for path in run.folder.iterdir() if path.is_dir()]:
        folder.rmdir()
    return run


def assert_resumed(run: FolderRun, source: Path, original: dict[str, bytes]) -> None:
    assert execute(run, source).status is RunState.SUCCESS
    assert artifact_bytes(run) == original
    assert verify(run).status is RunState.SUCCESS
    assert not list((run.folder / "attempts").iterdir())
    assert not list(run.folder.rglob(".*.tmp"))


@pytest.mark.parametrize("point", POINTS)
def test_after_a_kill_during_a_write_the_same_command_makes_the_same_bytes(
    tmp_path: Path, source: Path, point: str
) -> None:
    original = artifact_bytes(finished_run(tmp_path / "undisturbed", source))
    for nth in (1, 2, 3):
        run = run_without_empty_folders(tmp_path, source)
        assert execute_and_kill(run, source, point, nth) == -signal.SIGKILL
        assert_resumed(run, source, original)


@pytest.mark.proof
@pytest.mark.parametrize("point", POINTS)
def test_after_a_kill_at_any_call_that_changes_the_disk_the_same_command_makes_the_same_bytes(
    tmp_path: Path, source: Path, point: str
) -> None:
    original = artifact_bytes(finished_run(tmp_path / "undisturbed", source))
    nth, exit_code = 0, -signal.SIGKILL
    while exit_code == -signal.SIGKILL:
        nth += 1
        run = run_without_empty_folders(tmp_path, source)
        exit_code = execute_and_kill(run, source, point, nth)
        assert_resumed(run, source, original)
    assert exit_code == 0
    assert nth > 3, "the sweep killed no process"


def test_an_attempt_whose_runner_died_is_recorded_as_interrupted(
    tmp_path: Path, source: Path
) -> None:
    run = reserve_run(tmp_path / "home", source)
    with run.acquire_lease(MOMENT) as lease:
        run.begin(lease, "read", 1, MOMENT)
    assert run.fold_manifest(None).stages["read"].status is StageState.RUNNING
    execute(run, source)
    record = json.loads((run.folder / "commits" / "read.a1.json").read_bytes())
    assert record["error"]["code"] == "interrupted"
    assert run.fold_manifest(None).stages["read"].attempt == 2


def test_an_input_that_changes_during_the_work_fails_the_stage(
    tmp_path: Path, source: Path
) -> None:
    @stage(makes=[LETTERS])
    def slow(context: StageContext, settings: Settings) -> Outcome:
        context.source.write_text("zzz")
        context.write_document(LETTERS, Letters(letters=list(context.source.read_text())))
        return Done(producer=PRODUCER)

    plan = Plan(pipeline="slow", stages=(slow,))
    run = reserve_run(tmp_path / "home", source, plan=plan)
    error = execute(run, source, plan=plan).stages["slow"].error
    assert error is not None
    assert "changed during the run" in error.message
    assert artifact_bytes(run) == {}


def test_a_file_altered_while_another_stage_works_is_not_read(tmp_path: Path, source: Path) -> None:
    run = reserve_run(tmp_path / "home", source)

    @stage(requires=["read"], makes=[SCENES])
    def part(context: StageContext, settings: Settings) -> Outcome:
        context.write_artifacts(SCENES, scenes_of(1))
        (run.folder / LETTERS.path).write_bytes(b'{"letters":["z"]}')
        return Done(producer=PRODUCER)

    plan = Plan(
        pipeline="letters", stages=(PLAN.find_stage("read"), part, PLAN.find_stage("speak"))
    )
    manifest = execute(run, source, plan=plan)
    assert reason_codes(manifest, "speak")[0] is ReasonCode.DIGEST_MISMATCH


def test_files_of_indirect_dependencies_are_verified_too(tmp_path: Path, source: Path) -> None:
    @stage(requires=["part"], makes=[document("last.json", Letters, schema="test.letters")])
    def last(context: StageContext, settings: Settings) -> Outcome:
        return Done(producer=PRODUCER)

    plan = Plan(pipeline="deep", stages=(*PLAN.stages[:2], last))
    run = reserve_run(tmp_path / "home", source, plan=plan)
    execute(run, source, plan=plan, stages=["read", "part"])
    cut_in_half(run.folder / LETTERS.path)
    manifest = execute(run, source, plan=plan, stages=["last"])
    assert reason_codes(manifest, "last")[0] is ReasonCode.DIGEST_MISMATCH


def test_a_new_file_beside_the_input_blocks_an_existing_run(tmp_path: Path, source: Path) -> None:
    run = finished_run(tmp_path, source)
    beside = tmp_path / "beside.srt"
    beside.write_text("new")
    inputs = read_inputs({source.name: source, beside.name: beside}, lambda done, total: None)
    verdict = GateChecker(PLAN, run, inputs, BUILT_IN).check(
        PLAN.find_stage("read"), run.ledger(), protect_own=True
    )
    assert [(reason.code, reason.path) for reason in verdict.reasons] == [
        (ReasonCode.INPUT_CHANGED, "beside.srt")
    ]


@pytest.mark.parametrize("fields", [{"counts": {"n": 1.5}}, {"metrics": {"n": object()}}])
def test_a_record_that_cannot_be_parsed_again_is_never_written(
    tmp_path: Path, source: Path, fields: dict[str, Any]
) -> None:
    @stage()
    def odd(context: StageContext, settings: Settings) -> Outcome:
        return Done(producer=PRODUCER, **fields)

    plan = Plan(pipeline="odd", stages=(odd,))
    run = reserve_run(tmp_path / "home", source, plan=plan)
    assert execute(run, source, plan=plan).stages["odd"].status is StageState.FAILED
    assert run.fold_manifest(None).status is RunState.FAILED


def test_a_skipped_stage_is_tried_again_and_the_same_skip_is_recorded_only_once(
    tmp_path: Path, source: Path
) -> None:
    missing_models = ["model"]

    @stage(makes=[SCENES])
    def needs_model(context: StageContext, settings: Settings) -> Outcome:
        if missing_models:
            return Skipped("no model")
        context.write_artifacts(SCENES, scenes_of(1))
        return Done(producer=PRODUCER)

    plan = Plan(pipeline="needs_model", stages=(needs_model,))
    run = reserve_run(tmp_path / "home", source, plan=plan)
    first = execute(run, source, plan=plan)
    assert execute(run, source, plan=plan) == first
    missing_models.clear()
    assert execute(run, source, plan=plan).stages["needs_model"].status is StageState.SUCCESS


def test_the_verdict_of_a_skipped_stage_that_was_selected_by_name_contains_no_secret(
    tmp_path: Path, source: Path
) -> None:
    @stage()
    def needs_model(context: StageContext, settings: Settings) -> Outcome:
        return Skipped("no model at https://me:hunter2@models.example")

    plan = Plan(pipeline="needs_model", stages=(needs_model,))
    run = reserve_run(tmp_path / "home", source, plan=plan)
    manifest = execute(run, source, plan=plan, stages=["needs_model"])
    assert reason_codes(manifest, "needs_model") == [ReasonCode.PROVIDER_UNAVAILABLE]
    assert b"hunter2" not in manifest.to_bytes()
    assert b"hunter2" not in (run.folder / "verdicts.json").read_bytes()


def test_a_stage_is_pending_after_a_stage_that_it_uses_was_run_later(
    tmp_path: Path, source: Path
) -> None:
    run = reserve_run(tmp_path / "home", source)
    execute(run, source, stages=["read"])
    plan = Plan(
        pipeline="letters", stages=(PLAN.find_stage("read"), skipping, PLAN.find_stage("speak"))
    )
    execute(run, source, plan=plan)
    assert run.ledger().state("speak") is StageState.SUCCESS
    manifest = execute(run, source, stages=["part"])
    assert manifest.stages["part"].status is StageState.SUCCESS
    assert manifest.stages["speak"].status is StageState.PENDING


def skip(context: StageContext, settings: Settings) -> Outcome:
    return Skipped("not today")


skip.__name__ = "part"
skipping = stage(requires=["read"], makes=[SCENES])(skip)


def test_a_missing_record_closes_the_gates_and_repair_makes_it_again(
    tmp_path: Path, source: Path
) -> None:
    run = finished_run(tmp_path, source)
    original = artifact_bytes(run)
    (run.folder / "commits" / "read.a1.json").unlink()
    manifest = execute(run, source)
    assert set(reason_codes(manifest, "read")) == {ReasonCode.MISSING_ARTIFACT}
    assert execute(run, source, repair=True).status is RunState.SUCCESS
    assert artifact_bytes(run) == original
    assert verify(run).status is RunState.SUCCESS


@pytest.mark.parametrize("is_edited", [False, True])
def test_a_file_whose_record_is_missing_is_not_overwritten(
    tmp_path: Path, source: Path, is_edited: bool
) -> None:
    run = finished_run(tmp_path, source)
    original = artifact_bytes(run)
    before = run.fold_manifest(None).revision
    (run.folder / "commits" / "speak.a1.json").unlink()
    if is_edited:
        (run.folder / WORDS.path).write_text("edited")
    unrepaired = artifact_bytes(run)
    assert reason_codes(verify(run), "speak") == [ReasonCode.MISSING_ARTIFACT]
    assert reason_codes(execute(run, source), "speak") == [ReasonCode.MISSING_ARTIFACT]
    assert artifact_bytes(run) == unrepaired
    repaired = execute(run, source, repair=True)
    assert repaired.status is RunState.SUCCESS
    assert repaired.revision > before
    assert artifact_bytes(run) == original


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_a_fifo_or_folder_at_the_path_of_a_file_is_reported_as_missing(
    tmp_path: Path, source: Path, make: Callable[[Path], None]
) -> None:
    run = finished_run(tmp_path, source)
    (run.folder / SCENES.path).unlink()
    make(run.folder / SCENES.path)
    assert reason_codes(verify(run), "part") == [ReasonCode.MISSING_ARTIFACT]
    if make is os.mkdir:
        error = execute(run, source, repair=True).stages["part"].error
        assert "is not a file" in str(error)
        (run.folder / SCENES.path).rmdir()
    assert execute(run, source, repair=True).status is RunState.SUCCESS


def test_checking_whether_a_run_is_held_never_blocks_a_runner(tmp_path: Path, source: Path) -> None:
    run = reserve_run(tmp_path / "home", source)
    stop = threading.Event()

    def check_repeatedly() -> None:
        while not stop.is_set():
            run.is_held()

    threads = [threading.Thread(target=check_repeatedly) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(50):
            with run.acquire_lease(MOMENT):
                pass
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_unrelated_files_in_the_attempts_folder_are_ignored(tmp_path: Path, source: Path) -> None:
    run = finished_run(tmp_path, source)
    (run.folder / "attempts" / ".DS_Store").touch()
    (run.folder / "attempts" / "notes.a1").mkdir()
    assert execute(run, source).status is RunState.SUCCESS


def test_staged_files_of_an_earlier_attempt_are_never_installed(
    tmp_path: Path, source: Path
) -> None:
    run = finished_run(tmp_path, source)
    execute(run, source, stages=["read"], force=True)
    stale = run.folder / "attempts" / f"read.a1.{LETTERS.path}"
    stale.write_text("stale")
    assert execute(run, source).status is RunState.SUCCESS
    assert not stale.exists()


def test_an_altered_head_is_refused_naming_both_digests(tmp_path: Path, source: Path) -> None:
    run = finished_run(tmp_path, source)
    head = run.folder / "run.json"
    head.write_bytes(head.read_bytes().replace(b'"limit":100', b'"limit":1'))
    with pytest.raises(Invalid, match=r"run.json was altered: expected sha256 .*; got sha256"):
        execute(FolderRun(run.folder), source)


def test_the_status_file_has_the_final_state_of_every_stage(tmp_path: Path, source: Path) -> None:
    run = finished_run(tmp_path, source)
    status = json.loads((run.folder / "status.json").read_bytes())
    assert {name: stage["status"] for name, stage in status["stages"].items()} == dict.fromkeys(
        PLAN.names, "SUCCESS"
    )


def test_a_run_is_found_by_its_id_asset_folder_and_manifest_only(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home(tmp_path / "home")
    one = reserve_run(home.root, source, run_id="one")
    two = reserve_run(home.root, source, run_id="two")
    (tmp_path / "home" / "manifests" / "film" / "runs" / "torn").mkdir()
    (tmp_path / "home" / "manifests" / "film" / "runs" / "torn" / "run.json").touch()
    execute(two, source)
    monkeypatch.chdir(one.folder)
    for reference in ("two", "film/two", str(two.folder), str(two.folder / "manifest.json")):
        assert home.find(reference).head.run_id == "two"
    assert [path.name for path in home.unreadable_folders()] == ["torn"]
    with pytest.raises(NotFound):
        home.find("three")


def test_a_second_runner_gets_the_holder_of_the_run_and_since_when(
    tmp_path: Path, source: Path
) -> None:
    run = reserve_run(tmp_path / "home", source)
    with run.acquire_lease(MOMENT):
        assert run.fold_manifest(None).status is RunState.RUNNING
        with pytest.raises(Held, match=f"process {os.getpid()} .*2026-01-02T03:04:05"):
            execute(run, source)
    assert execute(run, source).status is RunState.SUCCESS


def test_a_stale_runner_never_overwrites_a_record(tmp_path: Path, source: Path) -> None:
    run = reserve_run(tmp_path / "home", source)
    with run.acquire_lease(MOMENT) as stale:
        attempt = run.begin(stale, "read", 1, MOMENT)
    finished_by_other = execute(run, source)
    record = run.ledger().records[0]
    with pytest.raises(Held, match="taken by another runner"):
        run.commit(stale, record)
    with run.acquire_lease(MOMENT) as lease, pytest.raises(Conflict, match="already exists"):
        run.commit(lease, record)
    assert attempt.number == 1
    assert run.fold_manifest(None).status is finished_by_other.status is RunState.SUCCESS


def test_concurrent_processes_never_get_the_same_attempt_number(
    tmp_path: Path, source: Path
) -> None:
    children = [
        FORK.Process(target=lambda: [reserve_run(tmp_path / "home", source) for _ in range(5)])
        for _ in range(4)
    ]
    for child in children:
        child.start()
    for child in children:
        child.join(30)
    runs = tmp_path / "home" / "manifests" / "film" / "runs"
    numbers = sorted(
        int(path.name.partition("_")[0].removeprefix("Attempt"))
        for path in runs.iterdir()
        if not path.name.startswith(".")
    )
    assert numbers == list(range(1, 21))


def test_a_folder_with_other_files_is_not_used_for_a_run(tmp_path: Path, source: Path) -> None:
    folder = tmp_path / "home" / "manifests" / "film" / "runs" / "mine"
    folder.mkdir(parents=True)
    (folder / "diary.txt").write_text("dear diary")
    with pytest.raises(Invalid, match="already exists"):
        reserve_run(tmp_path / "home", source, run_id="mine")
    assert [path.name for path in folder.parent.iterdir()] == ["mine"]


def test_a_full_disk_fails_the_stage_with_an_error_and_leaves_no_partial_file(
    tmp_path: Path, source: Path
) -> None:
    run = reserve_run(tmp_path / "home", source)

    def execute_on_full_disk() -> None:
        real = os.write

        def write(descriptor: int, data: bytes) -> int:
            if b'"letters"' in bytes(data)[:20]:
                raise OSError(errno.ENOSPC, "No space left on device")
            return real(descriptor, data)

        setattr(os, "write", write)  # noqa: B010 - only in the child process
        execute(run, source)

    assert run_in_child(execute_on_full_disk) == 0
    error = run.fold_manifest(None).stages["read"].error
    assert error is not None
    assert error.code == "disk_full"
    assert artifact_bytes(run) == {}
    assert execute(run, source).status is RunState.SUCCESS


@pytest.mark.parametrize("tamper", TAMPERING)
@pytest.mark.parametrize("path", [LETTERS.path, SCENES.path])
def test_verify_finds_every_altered_file_and_writes_nothing(
    tmp_path: Path, source: Path, path: str, tamper: Callable[[Path], None]
) -> None:
    run = finished_run(tmp_path, source)
    assert verify(run) == run.fold_manifest(None)
    tamper(run.folder / path)
    before = sorted((p, p.stat().st_mtime_ns) for p in run.folder.rglob("*"))
    blocked = {
        name: entry.blocked.reasons[0].path
        for name, entry in verify(run).stages.items()
        if entry.blocked
    }
    assert list(blocked.values()) == [path]
    assert sorted((p, p.stat().st_mtime_ns) for p in run.folder.rglob("*")) == before


def test_verify_reports_a_missing_record_that_others_depend_on(
    tmp_path: Path, source: Path
) -> None:
    run = finished_run(tmp_path, source)
    (run.folder / "commits" / "read.a1.json").unlink()
    manifest = verify(run)
    assert manifest.status is not RunState.SUCCESS
    assert reason_codes(manifest, "part") == [ReasonCode.MISSING_ARTIFACT]


def test_events_are_read_in_order_and_an_incomplete_line_is_not_read(
    tmp_path: Path, source: Path
) -> None:
    run = finished_run(tmp_path, source)
    with (run.folder / "logs" / "read.ndjson").open("ab") as log:
        log.write(b'{"torn')
    events = [json.loads(line) for line in read_events(run, PLAN.names, follow=True)]
    assert [event["event"] for event in events].count("stage.ended") == 3
    assert events == sorted(events, key=lambda event: event["at"])
