"""Regression tests: cases that an earlier engine handled wrongly."""

import io
import os
import signal
import time
from dataclasses import replace
from fractions import Fraction
from multiprocessing import get_context
from pathlib import Path

import pytest
from pydantic import BaseModel, Field

from filmgate.core.errors import Held, Interrupted, Invalid
from filmgate.core.files import document, records
from filmgate.core.gates import ReasonCode
from filmgate.core.manifest import Manifest
from filmgate.core.payloads.built_in import BUILT_IN
from filmgate.core.plan import Done, Outcome, Plan, Settings, Skipped, stage
from filmgate.core.ports import StageContext
from filmgate.core.states import RunState, StageState
from filmgate.engine import adoption
from filmgate.engine.adoption import adopt
from filmgate.engine.executors.process_pool import ProcessPool
from filmgate.engine.verification import verify
from filmgate.store.run_directory import FolderRun
from support.graph import BLOB, GRAPH, NUMBERS, TABLE, Number
from support.items import double, fail_with_secret, sleep_long
from support.runs import (
    LETTERS,
    MOMENT,
    PLAN,
    PRODUCER,
    SCENES,
    LetterSettings,
    RecordingObserver,
    artifact_bytes,
    execute,
    finished_run,
    reserve_run,
)

FORK = get_context("fork")
EDITED = b'{"letters":["m"]}\n'


def reason_codes(manifest: Manifest, name: str) -> set[ReasonCode]:
    blocked = manifest.stages[name].blocked
    return {reason.code for reason in blocked.reasons} if blocked else set()


def run_alone(tmp_path: Path, source: Path, *stages: object) -> tuple[FolderRun, Manifest]:
    plan = Plan(pipeline="alone", stages=stages)  # type: ignore[arg-type] # they are stages
    run = reserve_run(tmp_path / "home", source, plan=plan)
    return run, execute(run, source, plan=plan)


def test_an_edited_file_is_protected_after_its_adoption_was_killed(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = finished_run(tmp_path, source)
    (run.folder / LETTERS.path).write_bytes(EDITED)

    def kill_process(*args: object) -> object:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError

    def adopt_and_die() -> None:
        monkeypatch.setattr(adoption, "_copy_file", kill_process)
        adopt(
            plan=PLAN,
            run=run,
            stage=PLAN.find_stage("read"),
            registry=BUILT_IN,
            clock=lambda: MOMENT,
            sinks=(),
        )

    child = FORK.Process(target=adopt_and_die)
    child.start()
    child.join(20)
    assert child.exitcode == -signal.SIGKILL
    assert reason_codes(execute(run, source), "read") >= {ReasonCode.DIGEST_MISMATCH}
    assert (run.folder / LETTERS.path).read_bytes() == EDITED


def test_an_edited_file_is_protected_after_its_stage_failed(tmp_path: Path, source: Path) -> None:
    run = finished_run(tmp_path, source)

    @stage(makes=[LETTERS], version=2, settings=LetterSettings)
    def read(context: StageContext, settings: Settings) -> Outcome:
        raise RuntimeError("failed")

    newer = Plan(pipeline="letters", stages=(read, *PLAN.stages[1:]))
    assert execute(run, source, plan=newer).stages["read"].status is StageState.FAILED
    (run.folder / LETTERS.path).write_bytes(EDITED)
    assert ReasonCode.DIGEST_MISMATCH in reason_codes(execute(run, source), "read")
    assert (run.folder / LETTERS.path).read_bytes() == EDITED


def test_adopting_a_stage_that_is_due_again_makes_it_successful(
    tmp_path: Path, source: Path
) -> None:
    run = finished_run(tmp_path, source)
    (run.folder / LETTERS.path).write_bytes(EDITED)
    for name in ("read", "part"):
        manifest = adopt(
            plan=PLAN,
            run=run,
            stage=PLAN.find_stage(name),
            registry=BUILT_IN,
            clock=lambda: MOMENT,
            sinks=(),
        )
        assert manifest.stages[name].status is StageState.SUCCESS


def test_a_file_at_the_path_of_a_folder_fails_the_stage_before_its_commit(
    tmp_path: Path, source: Path
) -> None:
    run = reserve_run(tmp_path / "home", source, plan=GRAPH)
    (run.folder / "out").write_text("mine")
    stages = execute(run, source, plan=GRAPH, jobs=2).stages
    assert "is not a folder" in str(stages["tabulate"].error)
    assert "is not a folder" in str(stages["blob"].error)
    assert stages["count"].status is StageState.SUCCESS
    assert (run.folder / "out").read_text() == "mine"
    assert not list((run.folder / "attempts").iterdir())
    (run.folder / "out").unlink()
    assert execute(run, source, plan=GRAPH).status is RunState.SUCCESS


def test_secrets_in_items_and_their_errors_are_in_no_file_of_the_run(
    tmp_path: Path, source: Path
) -> None:
    @stage()
    def leaking(context: StageContext, settings: Settings) -> Outcome:
        names = {0: "s3://me:hunter2@bucket"}
        outcomes = list(context.map(fail_with_secret, [0, 1], name=lambda i: names.get(i, str(i))))
        return Done(
            producer=PRODUCER, counts={"good": sum(outcome.is_good for outcome in outcomes)}
        )

    run, manifest = run_alone(tmp_path, source, leaking)
    assert manifest.stages["leaking"].counts == {"good": 1, "failed": 1}
    written = b"".join(path.read_bytes() for path in run.folder.rglob("*") if path.is_file())
    assert b"hunter2" not in written


def test_a_stage_whose_items_all_failed_records_their_errors(tmp_path: Path, source: Path) -> None:
    @stage()
    def failing(context: StageContext, settings: Settings) -> Outcome:
        context.warn("w", "it looks bad")
        list(context.map(double, [7, 14]))
        return Done(producer=PRODUCER)

    _, manifest = run_alone(tmp_path, source, failing)
    entry = manifest.stages["failing"]
    assert entry.status is StageState.FAILED
    assert [error.item for error in entry.item_errors] == ["7", "14"]
    assert entry.counts == {"failed": 2}
    assert len(entry.warnings) == 1


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("file caf\udce9.mp4"),
        RuntimeError("x" * 1_000_000),
        type("Evil", (Exception,), {"__str__": lambda self: 1 / 0})(),
        GeneratorExit(),
        Invalid("odd", thing=object(), number=float("nan")),
    ],
)
def test_any_exception_of_a_stage_is_its_own_failure(
    tmp_path: Path, source: Path, error: BaseException
) -> None:
    @stage()
    def odd(context: StageContext, settings: Settings) -> Outcome:
        raise error

    @stage()
    def even(context: StageContext, settings: Settings) -> Outcome:
        return Done(producer=PRODUCER)

    run, manifest = run_alone(tmp_path, source, odd, even)
    assert manifest.stages["odd"].status is StageState.FAILED
    assert manifest.stages["even"].status is StageState.SUCCESS
    assert (run.folder / "manifest.json").stat().st_size < 100_000


def test_invalid_progress_and_reserved_field_names_of_warnings_are_accepted(
    tmp_path: Path, source: Path
) -> None:
    @stage()
    def odd(context: StageContext, settings: Settings) -> Outcome:
        for done in (Fraction(1, 2), float("nan"), float("inf"), 1):
            context.progress(done, None)  # type: ignore[arg-type] # as a careless stage does
        context.warn("w", "m", stage="x", level="y", event="z", at="n")
        return Done(producer=PRODUCER)

    _, manifest = run_alone(tmp_path, source, odd)
    assert manifest.status is RunState.SUCCESS


def plan_with_tools(name: str, tools: list[str]) -> Plan:
    """The example plan, with tools that its first stage depends on."""
    first = replace(PLAN.stages[0], tools=tuple(tools))
    return Plan(pipeline=name, stages=(first, *PLAN.stages[1:]))


def test_a_stage_whose_tool_is_not_installed_is_blocked_and_its_files_remain_valid(
    tmp_path: Path, source: Path
) -> None:
    run = finished_run(tmp_path, source)
    manifest = execute(run, source, plan=plan_with_tools("letters", ["no-such-distribution"]))
    blocked = manifest.stages["read"].blocked
    assert blocked is not None
    assert [reason.code for reason in blocked.reasons] == [ReasonCode.PROVIDER_UNAVAILABLE]
    assert "pip install 'no-such-distribution'" in blocked.reasons[0].got
    assert manifest.stages["speak"].status is StageState.SUCCESS
    observer = RecordingObserver()
    assert execute(run, source, observer=observer).status is RunState.SUCCESS
    assert observer.ran == []


def test_a_stage_whose_tool_is_not_installed_can_be_disabled(tmp_path: Path, source: Path) -> None:
    plan = plan_with_tools("letters", ["no-such-distribution"])
    config = {"read": {"enabled": False}}
    run = reserve_run(tmp_path / "home", source, plan=plan, config=config)
    manifest = execute(run, source, plan=plan)
    assert {entry.status for entry in manifest.stages.values()} == {StageState.SKIPPED}


def test_a_missing_record_before_a_skipped_stage_is_repaired(tmp_path: Path, source: Path) -> None:
    source.write_text("")
    run = reserve_run(tmp_path / "home", source)
    assert execute(run, source).stages["part"].status is StageState.SKIPPED
    (run.folder / "commits" / "read.a1.json").unlink()
    assert execute(run, source, repair=True).status is RunState.SUCCESS
    assert execute(run, source).status is RunState.SUCCESS


def test_a_torn_record_of_a_skipped_stage_is_repaired(tmp_path: Path, source: Path) -> None:
    source.write_text("")
    run = reserve_run(tmp_path / "home", source)
    execute(run, source)
    (run.folder / "commits" / "part.a2.json").write_text("{")
    assert execute(run, source).status is RunState.FAILED
    assert execute(run, source, repair=True).status is RunState.SUCCESS
    assert execute(run, source).status is RunState.SUCCESS


def test_an_altered_file_of_a_now_skipped_stage_blocks_it_only_until_repair(
    tmp_path: Path, source: Path
) -> None:
    run = finished_run(tmp_path, source)

    @stage(requires=["read"], makes=[SCENES], version=2)
    def part(context: StageContext, settings: Settings) -> Outcome:
        return Skipped("no model")

    plan = Plan(pipeline="letters", stages=(PLAN.stages[0], part, PLAN.stages[2]))
    execute(run, source, plan=plan)
    (run.folder / SCENES.path).write_text("altered")
    assert ReasonCode.DIGEST_MISMATCH in reason_codes(execute(run, source, plan=plan), "part")
    assert execute(run, source, plan=plan, repair=True).status is RunState.SUCCESS
    assert execute(run, source, plan=plan).status is RunState.SUCCESS


@pytest.mark.parametrize("value", [object(), b"\xff", "\udc80", float("nan")])
def test_a_warning_that_json_cannot_contain_is_stored_as_text(
    tmp_path: Path, source: Path, value: object
) -> None:
    @stage()
    def odd(context: StageContext, settings: Settings) -> Outcome:
        deep: list[object] = []
        deep.append(deep)
        context.warn("w", "m", value=value, deep=deep)
        return Done(producer=PRODUCER)

    _, manifest = run_alone(tmp_path, source, odd)
    assert manifest.status is RunState.SUCCESS
    assert manifest.stages["odd"].warnings[0]["code"] == "w"


def test_a_stage_whose_items_all_failed_fails_also_if_it_consumed_them_with_zip(
    tmp_path: Path, source: Path
) -> None:
    @stage()
    def zipped(context: StageContext, settings: Settings) -> Outcome:
        items = [7, 14]
        for _ in zip(items, context.map(double, items), strict=False):
            pass
        return Done(producer=PRODUCER)

    _, manifest = run_alone(tmp_path, source, zipped)
    assert manifest.stages["zipped"].status is StageState.FAILED
    assert manifest.stages["zipped"].warnings == ()


def test_new_files_that_a_crash_left_in_staging_are_not_a_fault(
    tmp_path: Path, source: Path
) -> None:
    run = finished_run(tmp_path, source)
    before = {path: (run.folder / path).read_bytes() for path in (LETTERS.path,)}
    read_stage = PLAN.find_stage("read")
    newer = Plan(pipeline="letters", stages=(replace(read_stage, version=2), *PLAN.stages[1:]))
    execute(run, source, plan=newer)
    staged = run.folder / "attempts" / f"read.a2.{LETTERS.path}"
    (run.folder / LETTERS.path).rename(staged)
    (run.folder / LETTERS.path).write_bytes(before[LETTERS.path] + b" ")
    assert verify(run, newer).status is RunState.SUCCESS
    assert execute(run, source, plan=newer).status is RunState.SUCCESS
    assert not staged.exists()


def test_a_closed_file_accepts_no_more_bytes(tmp_path: Path, source: Path) -> None:
    wrappers: list[io.TextIOWrapper] = []

    @stage(makes=[BLOB])
    def blob(context: StageContext, settings: Settings) -> Outcome:
        with context.create(BLOB) as file:
            wrappers.append(io.TextIOWrapper(file))
            file.write(b"in time")
        with pytest.raises(ValueError, match="closed"):
            wrappers[0].write("late" * 10_000)
        return Done(producer=PRODUCER)

    run, manifest = run_alone(tmp_path, source, blob)
    assert manifest.status is RunState.SUCCESS
    assert (run.folder / BLOB.path).read_bytes() == b"in time"


def test_a_partly_read_file_is_verified_too(tmp_path: Path, source: Path) -> None:
    @stage(requires=["count"], makes=[BLOB])
    def blob(context: StageContext, settings: Settings) -> Outcome:
        next(context.read_records(NUMBERS, Number))
        path = run.folder / NUMBERS.path
        path.write_bytes(path.read_bytes()[:-3] + b"9}\n")
        with context.create(BLOB) as file:
            file.write(b"x")
        return Done(producer=PRODUCER)

    plan = Plan(pipeline="graph", stages=(GRAPH.find_stage("count"), blob))
    run = reserve_run(tmp_path / "home", source, plan=plan)
    error = execute(run, source, plan=plan).stages["blob"].error
    assert error is not None
    assert "changed after its gate check" in error.message


class AliasedRecord(BaseModel):
    """A record whose field has another name in files."""

    number: int = Field(alias="Number")


ALIASED = records("spelled.jsonl", AliasedRecord, schema="test.spelled")


def test_records_are_written_in_the_form_that_their_model_reads(
    tmp_path: Path, source: Path
) -> None:
    @stage(makes=[ALIASED])
    def spell(context: StageContext, settings: Settings) -> Outcome:
        context.write_records(ALIASED, [AliasedRecord(Number=1)])
        return Done(producer=PRODUCER)

    @stage(requires=["spell"], makes=[NUMBERS])
    def read(context: StageContext, settings: Settings) -> Outcome:
        read = list(context.read_records(ALIASED, AliasedRecord))
        wrong = {"number": str(read)}
        context.write_records(NUMBERS, [Number.model_construct(**wrong)])  # type: ignore[arg-type]
        return Done(producer=PRODUCER)

    _, manifest = run_alone(tmp_path, source, spell, read)
    assert manifest.stages["spell"].status is StageState.SUCCESS
    error = manifest.stages["read"].error
    assert error is not None
    assert error.code == "contract_broken"


def test_a_table_with_destroyed_pages_is_detected(tmp_path: Path, source: Path) -> None:
    run = reserve_run(tmp_path / "home", source, plan=GRAPH)
    execute(run, source, plan=GRAPH)
    path = run.folder / TABLE.path
    data = bytearray(path.read_bytes())
    data[4:60] = bytes(56)
    path.write_bytes(data)
    assert ReasonCode.SCHEMA_INVALID in reason_codes(verify(run, GRAPH), "tabulate")


class Brittle(BaseModel):
    """A document whose model raises KeyError for unexpected contents."""

    letters: list[str]

    def model_post_init(self, context: object) -> None:
        {"a": 1}[self.letters[0]]


def test_a_model_that_raises_on_an_altered_file_closes_the_gate(
    tmp_path: Path, source: Path
) -> None:
    contract = document("brittle.json", Brittle, schema="test.brittle")

    @stage(makes=[contract])
    def brittle(context: StageContext, settings: Settings) -> Outcome:
        context.write_document(contract, Brittle(letters=["a"]))
        return Done(producer=PRODUCER)

    plan = Plan(pipeline="alone", stages=(brittle,))
    run = reserve_run(tmp_path / "home", source, plan=plan)
    execute(run, source, plan=plan)
    (run.folder / contract.path).write_text('{"letters":["b"]}')
    assert ReasonCode.SCHEMA_INVALID in reason_codes(execute(run, source, plan=plan), "brittle")


def test_unconsumed_items_add_a_warning(tmp_path: Path, source: Path) -> None:
    @stage()
    def lazy(context: StageContext, settings: Settings) -> Outcome:
        next(context.map(double, [1, 2, 3]))
        context.map(double, [4])
        return Done(producer=PRODUCER)

    _, manifest = run_alone(tmp_path, source, lazy)
    assert [warning["code"] for warning in manifest.stages["lazy"].warnings] == ["items_left"]


def test_a_stale_runner_is_fenced_after_both_files_of_the_lease_were_removed(
    tmp_path: Path, source: Path
) -> None:
    run = finished_run(tmp_path, source)
    highest = max(record.epoch for record in run.ledger().records)
    with run.acquire_lease(MOMENT) as stale:
        (run.folder / "lease.lock").unlink()
        (run.folder / "lease.json").unlink()
        with run.acquire_lease(MOMENT) as lease:
            assert lease.epoch > highest
            before = run.close(lease)
            for call in (stale.check, lambda: run.fold_manifest(stale)):
                with pytest.raises(Held):
                    call()
    assert Manifest.parse((run.folder / "manifest.json").read_bytes()) == before


@pytest.mark.parametrize("contents", [b"{}", b"\xff\x00", b"", b"["])
@pytest.mark.parametrize("name", ["read.a1.json", "read.a2.json"])
def test_a_broken_record_is_reported_and_repair_replaces_it(
    tmp_path: Path, source: Path, name: str, contents: bytes
) -> None:
    run = finished_run(tmp_path, source)
    expected = artifact_bytes(run)
    (run.folder / "commits" / name).write_bytes(contents)
    verified = verify(run, PLAN)
    assert verified.status is RunState.FAILED
    blocked = verified.stages["read"].blocked
    assert blocked is not None
    assert f"commits/{name}" in {reason.path for reason in blocked.reasons}
    assert execute(run, source).status is RunState.FAILED
    assert execute(run, source, repair=True).status is RunState.SUCCESS
    assert verify(run, PLAN).status is RunState.SUCCESS
    assert artifact_bytes(run) == expected


def test_unrelated_files_among_the_records_are_ignored(tmp_path: Path, source: Path) -> None:
    run = finished_run(tmp_path, source)
    for name in ("notes.txt", "zzz.a1.json", "read.a1.json.bak", ".read.a9.json"):
        (run.folder / "commits" / name).write_text("{}")
    assert execute(run, source).status is RunState.SUCCESS


def test_stages_that_were_not_selected_are_verified_too(tmp_path: Path, source: Path) -> None:
    run = finished_run(tmp_path, source)
    (run.folder / SCENES.path).write_text("")
    manifest = execute(run, source, stages=["read"])
    assert manifest.status is RunState.FAILED
    assert ReasonCode.DIGEST_MISMATCH in reason_codes(manifest, "part")
    assert manifest.stages["read"].status is StageState.SUCCESS


@pytest.mark.parametrize("name", ["part.a2.scenes.jsonl", "part.a9"])
def test_links_among_the_attempts_are_removed_and_not_followed(
    tmp_path: Path, source: Path, name: str
) -> None:
    run = finished_run(tmp_path, source)
    precious = tmp_path / "precious"
    precious.write_text("precious")
    (run.folder / "attempts" / name).symlink_to(precious)
    assert execute(run, source, force=True).status is RunState.SUCCESS
    assert precious.read_text() == "precious"
    assert not list((run.folder / "attempts").iterdir())


def test_a_folder_at_the_path_of_the_manifest_is_reported(tmp_path: Path, source: Path) -> None:
    run = reserve_run(tmp_path / "home", source)
    (run.folder / "manifest.json").mkdir()
    with pytest.raises(Invalid, match=r"manifest\.json is not a file"):
        execute(run, source)


def test_stopping_a_run_also_stops_the_items_in_its_process_pool(
    tmp_path: Path, source: Path
) -> None:
    @stage()
    def pooled(context: StageContext, settings: Settings) -> Outcome:
        list(context.map(sleep_long, [str(tmp_path)]))
        return Done(producer=PRODUCER)

    plan = Plan(pipeline="pooled", stages=(pooled,))
    run = reserve_run(tmp_path / "home", source, plan=plan)

    def runner() -> None:
        def raise_interrupted(number: int, frame: object) -> None:
            raise Interrupted("signal")

        signal.signal(signal.SIGTERM, raise_interrupted)
        try:
            execute(run, source, plan=plan, jobs=2, executor=lambda lock: ProcessPool(2, lock))
        except Interrupted:
            os._exit(130)

    child = FORK.Process(target=runner)
    child.start()
    started = tmp_path / "started"
    deadline = time.monotonic() + 20
    while not (started.exists() and started.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert child.pid is not None
    stopped_at = time.monotonic()
    os.kill(child.pid, signal.SIGTERM)
    child.join(20)
    assert child.exitcode == 130
    assert time.monotonic() - stopped_at < 8, "it waited for an item that takes a minute"
    manifest = run.fold_manifest(None)
    assert manifest.stages["pooled"].error is not None
    assert manifest.stages["pooled"].error.code == "interrupted"
    assert not run.is_held()
