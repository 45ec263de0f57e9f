"""The engine on real folders: what runs, what is refused, what survives."""

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
from filmgate.core.ports import Bench, Timed
from filmgate.core.states import RunState, StageState
from filmgate.engine.gatekeeper import Gatekeeper
from filmgate.engine.inputs import read_inputs
from filmgate.engine.verification import verify
from filmgate.store.event_log import read_events
from filmgate.store.home import Home
from filmgate.store.run_directory import FolderRun
from support.runs import (
    LETTERS,
    ME,
    MOMENT,
    PLAN,
    SCENES,
    WORDS,
    Letters,
    Witness,
    artifact_bytes,
    execute,
    finished,
    reserve_run,
    scenes_of,
)

FORK = get_context("fork")


def codes(manifest: Manifest, name: str) -> list[ReasonCode]:
    blocked = manifest.stages[name].blocked
    return [reason.code for reason in blocked.reasons] if blocked else []


def in_child(work: Callable[[], object]) -> int:
    """Run in a process of its own; its exit code, negative for a signal."""
    child = FORK.Process(target=work)
    child.start()
    child.join(30)
    assert child.exitcode is not None
    return child.exitcode


def test_a_run_ends_with_every_stage_a_success_and_every_file_named_by_digest(
    tmp_path: Path, source: Path
) -> None:
    run = finished(tmp_path, source)
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
    run = finished(tmp_path, source)
    written = (run.folder / "manifest.json").read_bytes()
    assert FolderRun(run.folder).refold(None).to_bytes() == written


def test_what_is_up_to_date_is_not_run_again(tmp_path: Path, source: Path) -> None:
    run = finished(tmp_path, source)
    written = (run.folder / "manifest.json").read_bytes()
    witness = Witness()
    execute(run, source, witness=witness)
    assert witness.ran == []
    assert (run.folder / "manifest.json").read_bytes() == written


def flip_keeping_times(path: Path) -> None:
    """Another byte, same size, same modification time."""
    stat = path.stat()
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def cut_in_half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


TAMPERING = [flip_keeping_times, cut_in_half, Path.unlink]


@pytest.mark.parametrize("tamper", TAMPERING)
def test_a_tampered_upstream_file_blocks_the_next_stage_and_is_named_with_both_digests(
    tmp_path: Path, source: Path, tamper: Callable[[Path], None]
) -> None:
    run = reserve_run(tmp_path / "home", source)
    first = execute(run, source, stages=["read"])
    (ref,) = first.stages["read"].artifacts
    tamper(run.folder / LETTERS.path)
    found = run.facts(LETTERS.path)
    witness = Witness()
    manifest = execute(run, source, stages=["part"], witness=witness)
    assert witness.ran == []
    assert manifest.stages["part"].status is StageState.BLOCKED
    assert manifest.stages["part"].blocked is not None
    reason = manifest.stages["part"].blocked.reasons[0]
    assert reason.path == LETTERS.path
    assert ref.sha256 in reason.expected
    assert (found.sha256 if found else "no file") in reason.got


@pytest.mark.parametrize("tamper", TAMPERING)
def test_a_stage_does_not_silently_write_over_a_file_of_its_own_that_was_altered(
    tmp_path: Path, source: Path, tamper: Callable[[Path], None]
) -> None:
    run = finished(tmp_path, source)
    tamper(run.folder / SCENES.path)
    manifest = execute(run, source)
    assert manifest.stages["part"].status is StageState.BLOCKED
    assert codes(manifest, "part")[0] in {
        ReasonCode.MISSING_ARTIFACT,
        ReasonCode.DIGEST_MISMATCH,
    }


@pytest.mark.parametrize("tamper", TAMPERING)
def test_repair_makes_the_file_again_and_nothing_after_it_where_the_bytes_come_out_equal(
    tmp_path: Path, source: Path, tamper: Callable[[Path], None]
) -> None:
    run = finished(tmp_path, source)
    whole = artifact_bytes(run)
    tamper(run.folder / LETTERS.path)
    witness = Witness()
    manifest = execute(run, source, stages=["speak"], repair=True, witness=witness)
    assert witness.ran == ["read"]
    assert manifest.status is RunState.SUCCESS
    assert artifact_bytes(run) == whole


def test_a_blocked_run_is_well_again_once_the_file_is_restored(
    tmp_path: Path, source: Path
) -> None:
    run = finished(tmp_path, source)
    before = (run.folder / "manifest.json").read_bytes()
    whole = (run.folder / LETTERS.path).read_bytes()
    cut_in_half(run.folder / LETTERS.path)
    assert execute(run, source).status is RunState.FAILED
    (run.folder / LETTERS.path).write_bytes(whole)
    assert execute(run, source).status is RunState.SUCCESS
    assert (run.folder / "manifest.json").read_bytes() == before


def test_another_input_blocks_every_stage_of_the_run(tmp_path: Path, source: Path) -> None:
    run = finished(tmp_path, source)
    source.write_text("other")
    manifest = execute(run, source)
    assert {codes(manifest, name)[0] for name in PLAN.names} == {ReasonCode.INPUT_CHANGED}


def test_force_opens_the_next_attempt_and_equal_bytes_leave_the_rest_alone(
    tmp_path: Path, source: Path
) -> None:
    run = finished(tmp_path, source)
    witness = Witness()
    manifest = execute(run, source, stages=["read"], force=True, witness=witness)
    assert witness.ran == ["read"]
    assert manifest.stages["read"].attempt == 2
    assert manifest.status is RunState.SUCCESS


def test_a_stage_that_fails_stops_what_stands_on_it_and_says_why(
    tmp_path: Path, source: Path
) -> None:
    source.write_text("!")
    run = reserve_run(tmp_path / "home", source)
    manifest = execute(run, source)
    error = manifest.stages["read"].error
    assert error is not None
    assert "the source is cursed" in error.message
    assert codes(manifest, "part") == [ReasonCode.UPSTREAM_FAILED]
    assert manifest.status is RunState.FAILED
    assert artifact_bytes(run) == {}


def test_a_skipped_stage_says_why_and_what_merely_uses_it_goes_on(
    tmp_path: Path, source: Path
) -> None:
    source.write_text("")
    run = reserve_run(tmp_path / "home", source)
    manifest = execute(run, source)
    assert manifest.stages["part"].status is StageState.SKIPPED
    assert manifest.stages["part"].reason == "no letters"
    assert manifest.stages["speak"].status is StageState.SUCCESS
    assert manifest.status is RunState.SUCCESS


def test_a_stage_asked_for_by_name_is_not_skipped_in_silence(tmp_path: Path, source: Path) -> None:
    source.write_text("")
    run = reserve_run(tmp_path / "home", source)
    manifest = execute(run, source, stages=["read", "part"])
    assert codes(manifest, "part") == [ReasonCode.PROVIDER_UNAVAILABLE]


def scenes_backwards() -> list[Timed]:
    return list(scenes_of(3))[::-1]


@pytest.mark.parametrize(
    ("made", "complaint"),
    [(scenes_backwards, "out of order"), (list, "too few records")],
)
def test_a_file_that_breaks_its_contract_is_never_committed(
    tmp_path: Path, source: Path, made: Callable[[], list[Timed]], complaint: str
) -> None:
    @stage(makes=[SCENES])
    def broken(bench: Bench, settings: Settings) -> Outcome:
        bench.write_artifacts(SCENES, made())
        return Done(producer=ME)

    plan = Plan(pipeline="broken", stages=(broken,))
    run = reserve_run(tmp_path / "home", source, plan=plan)
    error = execute(run, source, plan=plan).stages["broken"].error
    assert error is not None
    assert complaint in error.message
    assert not (run.folder / SCENES.path).exists()


@pytest.mark.parametrize("complaint", ["did not declare", "did not make", "did not verify"])
def test_a_stage_that_reads_or_makes_other_files_than_it_declared_fails(
    tmp_path: Path, source: Path, complaint: str
) -> None:
    makes = [] if complaint == "did not declare" else [LETTERS]

    @stage(makes=makes)
    def sly(bench: Bench, settings: Settings) -> Outcome:
        if complaint == "did not declare":
            bench.write_document(LETTERS, Letters(letters=[]))
        elif complaint == "did not verify":
            bench.read_document(SCENES, Letters)
        return Done(producer=ME)

    plan = Plan(pipeline="sly", stages=(sly,))
    run = reserve_run(tmp_path / "home", source, plan=plan)
    error = execute(run, source, plan=plan).stages["sly"].error
    assert error is not None
    assert complaint in error.message


POINTS = ["open", "mkdir", "write", "fsync", "link", "replace", "unlink"]
"""Calls that change the disk, or make a change durable."""


def dying(run: FolderRun, source: Path, point: str, nth: int) -> int:
    """Execute in a child that is killed at its nth call of a kind; how the child ended."""

    def work() -> None:
        real = getattr(os, point)
        left = nth

        def counted(*args: Any, **kwargs: Any) -> Any:
            nonlocal left
            left -= point != "open" or bool(args[1] & os.O_CREAT)
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **kwargs)

        setattr(os, point, counted)
        execute(run, source)

    return in_child(work)


def carried(tmp_path: Path, source: Path) -> FolderRun:
    """A run that was reserved, and carried here by something that drops empty folders."""
    run = reserve_run(tmp_path / "home", source)
    for folder in [each for each in run.folder.iterdir() if each.is_dir()]:
        folder.rmdir()
    return run


def assert_resumed(run: FolderRun, source: Path, whole: dict[str, bytes]) -> None:
    assert execute(run, source).status is RunState.SUCCESS
    assert artifact_bytes(run) == whole
    assert verify(run).status is RunState.SUCCESS
    assert not list((run.folder / "attempts").iterdir())
    assert not list(run.folder.rglob(".*.tmp"))


@pytest.mark.parametrize("point", POINTS)
def test_killed_while_it_writes_the_same_command_ends_with_the_same_bytes(
    tmp_path: Path, source: Path, point: str
) -> None:
    whole = artifact_bytes(finished(tmp_path / "undisturbed", source))
    for nth in (1, 2, 3):
        run = carried(tmp_path, source)
        assert dying(run, source, point, nth) == -signal.SIGKILL
        assert_resumed(run, source, whole)


@pytest.mark.proof
@pytest.mark.parametrize("point", POINTS)
def test_killed_at_any_call_that_changes_the_disk_the_same_command_ends_with_the_same_bytes(
    tmp_path: Path, source: Path, point: str
) -> None:
    whole = artifact_bytes(finished(tmp_path / "undisturbed", source))
    nth, ended = 0, -signal.SIGKILL
    while ended == -signal.SIGKILL:
        nth += 1
        run = carried(tmp_path, source)
        ended = dying(run, source, point, nth)
        assert_resumed(run, source, whole)
    assert ended == 0
    assert nth > 3, "the sweep killed nobody"


def test_a_dead_attempt_is_recorded_as_interrupted(tmp_path: Path, source: Path) -> None:
    run = reserve_run(tmp_path / "home", source)
    with run.hold(MOMENT) as lease:
        run.begin(lease, "read", 1, MOMENT)
    assert run.refold(None).stages["read"].status is StageState.RUNNING
    execute(run, source)
    record = json.loads((run.folder / "commits" / "read.a1.json").read_bytes())
    assert record["error"]["code"] == "interrupted"
    assert run.refold(None).stages["read"].attempt == 2


def test_an_input_that_changes_under_the_work_is_not_vouched_for(
    tmp_path: Path, source: Path
) -> None:
    @stage(makes=[LETTERS])
    def slow(bench: Bench, settings: Settings) -> Outcome:
        bench.source.write_text("zzz")
        bench.write_document(LETTERS, Letters(letters=list(bench.source.read_text())))
        return Done(producer=ME)

    plan = Plan(pipeline="slow", stages=(slow,))
    run = reserve_run(tmp_path / "home", source, plan=plan)
    error = execute(run, source, plan=plan).stages["slow"].error
    assert error is not None
    assert "changed while it was worked on" in error.message
    assert artifact_bytes(run) == {}


def test_a_file_altered_while_another_stage_works_is_not_read(tmp_path: Path, source: Path) -> None:
    run = reserve_run(tmp_path / "home", source)

    @stage(requires=["read"], makes=[SCENES])
    def part(bench: Bench, settings: Settings) -> Outcome:
        bench.write_artifacts(SCENES, scenes_of(1))
        (run.folder / LETTERS.path).write_bytes(b'{"letters":["z"]}')
        return Done(producer=ME)

    plan = Plan(pipeline="letters", stages=(PLAN.named("read"), part, PLAN.named("speak")))
    manifest = execute(run, source, plan=plan)
    assert codes(manifest, "speak")[0] is ReasonCode.DIGEST_MISMATCH


def test_what_a_stage_stands_on_from_afar_is_verified_too(tmp_path: Path, source: Path) -> None:
    @stage(requires=["part"], makes=[document("last.json", Letters, schema="test.letters")])
    def last(bench: Bench, settings: Settings) -> Outcome:
        return Done(producer=ME)

    plan = Plan(pipeline="deep", stages=(*PLAN.stages[:2], last))
    run = reserve_run(tmp_path / "home", source, plan=plan)
    execute(run, source, plan=plan, stages=["read", "part"])
    cut_in_half(run.folder / LETTERS.path)
    manifest = execute(run, source, plan=plan, stages=["last"])
    assert codes(manifest, "last")[0] is ReasonCode.DIGEST_MISMATCH


def test_a_new_file_beside_the_input_does_not_slip_into_a_frozen_run(
    tmp_path: Path, source: Path
) -> None:
    run = finished(tmp_path, source)
    beside = tmp_path / "beside.srt"
    beside.write_text("new")
    inputs = read_inputs({source.name: source, beside.name: beside}, lambda done, total: None)
    verdict = Gatekeeper(PLAN, run, inputs, BUILT_IN).ask(
        PLAN.named("read"), run.ledger(), protect_own=True
    )
    assert [(reason.code, reason.path) for reason in verdict.reasons] == [
        (ReasonCode.INPUT_CHANGED, "beside.srt")
    ]


@pytest.mark.parametrize("facts", [{"counts": {"n": 1.5}}, {"metrics": {"n": object()}}])
def test_a_record_that_could_not_be_read_again_is_never_written(
    tmp_path: Path, source: Path, facts: dict[str, Any]
) -> None:
    @stage()
    def odd(bench: Bench, settings: Settings) -> Outcome:
        return Done(producer=ME, **facts)

    plan = Plan(pipeline="odd", stages=(odd,))
    run = reserve_run(tmp_path / "home", source, plan=plan)
    assert execute(run, source, plan=plan).stages["odd"].status is StageState.FAILED
    assert run.refold(None).status is RunState.FAILED


def test_a_skipped_stage_is_asked_again_and_says_the_same_only_once(
    tmp_path: Path, source: Path
) -> None:
    lacking = [True]

    @stage(makes=[SCENES])
    def hopeful(bench: Bench, settings: Settings) -> Outcome:
        if lacking:
            return Skipped("no model")
        bench.write_artifacts(SCENES, scenes_of(1))
        return Done(producer=ME)

    plan = Plan(pipeline="hopeful", stages=(hopeful,))
    run = reserve_run(tmp_path / "home", source, plan=plan)
    first = execute(run, source, plan=plan)
    assert execute(run, source, plan=plan) == first
    lacking.clear()
    assert execute(run, source, plan=plan).stages["hopeful"].status is StageState.SUCCESS


def test_a_stage_made_without_what_it_uses_is_pending_once_that_is_there(
    tmp_path: Path, source: Path
) -> None:
    run = reserve_run(tmp_path / "home", source)
    execute(run, source, stages=["read"])
    lonely = Plan(pipeline="letters", stages=(PLAN.named("read"), skipping, PLAN.named("speak")))
    execute(run, source, plan=lonely)
    assert run.ledger().state("speak") is StageState.SUCCESS
    manifest = execute(run, source, stages=["part"])
    assert manifest.stages["part"].status is StageState.SUCCESS
    assert manifest.stages["speak"].status is StageState.PENDING


def skip(bench: Bench, settings: Settings) -> Outcome:
    return Skipped("not today")


skip.__name__ = "part"
skipping = stage(requires=["read"], makes=[SCENES])(skip)


def test_a_lost_record_closes_the_gates_and_repair_makes_it_again(
    tmp_path: Path, source: Path
) -> None:
    run = finished(tmp_path, source)
    whole = artifact_bytes(run)
    (run.folder / "commits" / "read.a1.json").unlink()
    manifest = execute(run, source)
    assert set(codes(manifest, "read")) == {ReasonCode.MISSING_ARTIFACT}
    assert execute(run, source, repair=True).status is RunState.SUCCESS
    assert artifact_bytes(run) == whole
    assert verify(run).status is RunState.SUCCESS


@pytest.mark.parametrize("is_handiwork", [False, True])
def test_a_file_whose_record_was_lost_is_not_written_over_in_silence(
    tmp_path: Path, source: Path, is_handiwork: bool
) -> None:
    run = finished(tmp_path, source)
    whole = artifact_bytes(run)
    before = run.refold(None).revision
    (run.folder / "commits" / "speak.a1.json").unlink()
    if is_handiwork:
        (run.folder / WORDS.path).write_text("mine")
    left = artifact_bytes(run)
    assert codes(verify(run), "speak") == [ReasonCode.MISSING_ARTIFACT]
    assert codes(execute(run, source), "speak") == [ReasonCode.MISSING_ARTIFACT]
    assert artifact_bytes(run) == left
    mended = execute(run, source, repair=True)
    assert mended.status is RunState.SUCCESS
    assert mended.revision > before
    assert artifact_bytes(run) == whole


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_something_else_in_the_place_of_a_file_is_no_file(
    tmp_path: Path, source: Path, make: Callable[[Path], None]
) -> None:
    run = finished(tmp_path, source)
    (run.folder / SCENES.path).unlink()
    make(run.folder / SCENES.path)
    assert codes(verify(run), "part") == [ReasonCode.MISSING_ARTIFACT]
    if make is os.mkdir:
        error = execute(run, source, repair=True).stages["part"].error
        assert "in the way" in str(error)
        (run.folder / SCENES.path).rmdir()
    assert execute(run, source, repair=True).status is RunState.SUCCESS


def test_asking_whether_a_run_is_held_never_keeps_a_runner_out(
    tmp_path: Path, source: Path
) -> None:
    run = reserve_run(tmp_path / "home", source)
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            run.is_held()

    askers = [threading.Thread(target=ask) for _ in range(2)]
    for asker in askers:
        asker.start()
    try:
        for _ in range(50):
            with run.hold(MOMENT):
                pass
    finally:
        stop.set()
        for asker in askers:
            asker.join()


def test_other_peoples_files_among_the_attempts_are_no_attempts(
    tmp_path: Path, source: Path
) -> None:
    run = finished(tmp_path, source)
    (run.folder / "attempts" / ".DS_Store").touch()
    (run.folder / "attempts" / "notes.a1").mkdir()
    assert execute(run, source).status is RunState.SUCCESS


def test_files_of_an_overtaken_attempt_never_come_back(tmp_path: Path, source: Path) -> None:
    run = finished(tmp_path, source)
    execute(run, source, stages=["read"], force=True)
    back = run.folder / "attempts" / f"read.a1.{LETTERS.path}"
    back.write_text("from the dead")
    assert execute(run, source).status is RunState.SUCCESS
    assert not back.exists()


def test_an_altered_head_is_refused_with_both_digests(tmp_path: Path, source: Path) -> None:
    run = finished(tmp_path, source)
    head = run.folder / "run.json"
    head.write_bytes(head.read_bytes().replace(b'"limit":100', b'"limit":1'))
    with pytest.raises(Invalid, match=r"run.json was altered: expected sha256 .*; got sha256"):
        execute(FolderRun(run.folder), source)


def test_the_live_view_ends_with_the_last_word(tmp_path: Path, source: Path) -> None:
    run = finished(tmp_path, source)
    shown = json.loads((run.folder / "status.json").read_bytes())
    assert {name: stage["status"] for name, stage in shown["stages"].items()} == dict.fromkeys(
        PLAN.names, "SUCCESS"
    )


def test_a_run_is_found_by_what_people_call_it_and_by_nothing_else(
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
    assert [path.name for path in home.unreadable()] == ["torn"]
    with pytest.raises(NotFound):
        home.find("three")


def test_a_second_runner_is_told_who_holds_the_run_and_since_when(
    tmp_path: Path, source: Path
) -> None:
    run = reserve_run(tmp_path / "home", source)
    with run.hold(MOMENT):
        assert run.refold(None).status is RunState.RUNNING
        with pytest.raises(Held, match=f"process {os.getpid()} .*2026-01-02T03:04:05"):
            execute(run, source)
    assert execute(run, source).status is RunState.SUCCESS


def test_a_stale_runner_can_lose_but_never_overwrite(tmp_path: Path, source: Path) -> None:
    run = reserve_run(tmp_path / "home", source)
    with run.hold(MOMENT) as stale:
        attempt = run.begin(stale, "read", 1, MOMENT)
    finished_by_other = execute(run, source)
    record = run.ledger().records[0]
    with pytest.raises(Held, match="passed to another runner"):
        run.commit(stale, record)
    with run.hold(MOMENT) as lease, pytest.raises(Conflict, match="exists already"):
        run.commit(lease, record)
    assert attempt.number == 1
    assert run.refold(None).status is finished_by_other.status is RunState.SUCCESS


def test_attempts_are_counted_without_a_duplicate_by_many_at_once(
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


def test_a_folder_with_other_things_in_it_is_left_alone(tmp_path: Path, source: Path) -> None:
    in_the_way = tmp_path / "home" / "manifests" / "film" / "runs" / "mine"
    in_the_way.mkdir(parents=True)
    (in_the_way / "diary.txt").write_text("dear diary")
    with pytest.raises(Invalid, match="in the way"):
        reserve_run(tmp_path / "home", source, run_id="mine")
    assert [path.name for path in in_the_way.parent.iterdir()] == ["mine"]


def test_a_full_disk_fails_the_stage_in_words_and_leaves_no_half_file(
    tmp_path: Path, source: Path
) -> None:
    run = reserve_run(tmp_path / "home", source)

    def on_a_full_disk() -> None:
        real = os.write

        def full(descriptor: int, data: bytes) -> int:
            if b'"letters"' in bytes(data)[:20]:
                raise OSError(errno.ENOSPC, "No space left on device")
            return real(descriptor, data)

        setattr(os, "write", full)  # noqa: B010 - of the child process alone
        execute(run, source)

    assert in_child(on_a_full_disk) == 0
    error = run.refold(None).stages["read"].error
    assert error is not None
    assert error.code == "disk_full"
    assert artifact_bytes(run) == {}
    assert execute(run, source).status is RunState.SUCCESS


@pytest.mark.parametrize("tamper", TAMPERING)
@pytest.mark.parametrize("path", [LETTERS.path, SCENES.path])
def test_verify_finds_every_altered_file_and_writes_nothing(
    tmp_path: Path, source: Path, path: str, tamper: Callable[[Path], None]
) -> None:
    run = finished(tmp_path, source)
    assert verify(run) == run.refold(None)
    tamper(run.folder / path)
    before = sorted((p, p.stat().st_mtime_ns) for p in run.folder.rglob("*"))
    blocked = {
        name: entry.blocked.reasons[0].path
        for name, entry in verify(run).stages.items()
        if entry.blocked
    }
    assert list(blocked.values()) == [path]
    assert sorted((p, p.stat().st_mtime_ns) for p in run.folder.rglob("*")) == before


def test_verify_misses_a_record_that_others_stood_on(tmp_path: Path, source: Path) -> None:
    run = finished(tmp_path, source)
    (run.folder / "commits" / "read.a1.json").unlink()
    manifest = verify(run)
    assert manifest.status is not RunState.SUCCESS
    assert codes(manifest, "part") == [ReasonCode.MISSING_ARTIFACT]


def test_events_are_read_in_order_and_a_torn_line_waits(tmp_path: Path, source: Path) -> None:
    run = finished(tmp_path, source)
    with (run.folder / "logs" / "read.ndjson").open("ab") as log:
        log.write(b'{"torn')
    events = [json.loads(line) for line in read_events(run, PLAN.names, follow=True)]
    assert [event["event"] for event in events].count("stage.ended") == 3
    assert events == sorted(events, key=lambda event: event["at"])
