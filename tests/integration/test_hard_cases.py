"""Cases that broke an earlier engine, or nearly did."""

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
from filmgate.core.ports import Bench
from filmgate.core.states import RunState, StageState
from filmgate.engine import adoption
from filmgate.engine.adoption import adopt
from filmgate.engine.executors.process_pool import ProcessPool
from filmgate.engine.verification import verify
from filmgate.store.run_directory import FolderRun
from support.graph import BLOB, GRAPH, NUMBERS, TABLE, Number
from support.items import double, linger, tell_a_secret
from support.runs import (
    LETTERS,
    ME,
    MOMENT,
    PLAN,
    SCENES,
    LetterSettings,
    Witness,
    artifact_bytes,
    execute,
    finished,
    reserve_run,
)

FORK = get_context("fork")
MENDED = b'{"letters":["m"]}\n'


def codes(manifest: Manifest, name: str) -> set[ReasonCode]:
    blocked = manifest.stages[name].blocked
    return {reason.code for reason in blocked.reasons} if blocked else set()


def run_alone(tmp_path: Path, source: Path, *stages: object) -> tuple[FolderRun, Manifest]:
    plan = Plan(pipeline="alone", stages=stages)  # type: ignore[arg-type] # stages they are
    run = reserve_run(tmp_path / "home", source, plan=plan)
    return run, execute(run, source, plan=plan)


def test_handiwork_is_guarded_though_an_adoption_of_it_died(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = finished(tmp_path, source)
    (run.folder / LETTERS.path).write_bytes(MENDED)

    def dying(*args: object) -> object:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError

    def adopting() -> None:
        monkeypatch.setattr(adoption, "_take", dying)
        adopt(
            plan=PLAN,
            run=run,
            stage=PLAN.named("read"),
            registry=BUILT_IN,
            clock=lambda: MOMENT,
            sinks=(),
        )

    child = FORK.Process(target=adopting)
    child.start()
    child.join(20)
    assert child.exitcode == -signal.SIGKILL
    assert codes(execute(run, source), "read") >= {ReasonCode.DIGEST_MISMATCH}
    assert (run.folder / LETTERS.path).read_bytes() == MENDED


def test_handiwork_is_guarded_though_the_stage_failed_since(tmp_path: Path, source: Path) -> None:
    run = finished(tmp_path, source)

    @stage(makes=[LETTERS], version=2, settings=LetterSettings)
    def read(bench: Bench, settings: Settings) -> Outcome:
        raise RuntimeError("not today")

    newer = Plan(pipeline="letters", stages=(read, *PLAN.stages[1:]))
    assert execute(run, source, plan=newer).stages["read"].status is StageState.FAILED
    (run.folder / LETTERS.path).write_bytes(MENDED)
    assert ReasonCode.DIGEST_MISMATCH in codes(execute(run, source), "read")
    assert (run.folder / LETTERS.path).read_bytes() == MENDED


def test_adopting_a_stage_that_is_due_again_makes_it_stand(tmp_path: Path, source: Path) -> None:
    run = finished(tmp_path, source)
    (run.folder / LETTERS.path).write_bytes(MENDED)
    for name in ("read", "part"):
        manifest = adopt(
            plan=PLAN,
            run=run,
            stage=PLAN.named(name),
            registry=BUILT_IN,
            clock=lambda: MOMENT,
            sinks=(),
        )
        assert manifest.stages[name].status is StageState.SUCCESS


def test_a_file_in_the_place_of_a_folder_stops_the_stage_before_it_has_a_record(
    tmp_path: Path, source: Path
) -> None:
    run = reserve_run(tmp_path / "home", source, plan=GRAPH)
    (run.folder / "out").write_text("mine")
    stages = execute(run, source, plan=GRAPH, jobs=2).stages
    assert "in the way" in str(stages["tabulate"].error)
    assert "in the way" in str(stages["blob"].error)
    assert stages["count"].status is StageState.SUCCESS
    assert (run.folder / "out").read_text() == "mine"
    assert not list((run.folder / "attempts").iterdir())
    (run.folder / "out").unlink()
    assert execute(run, source, plan=GRAPH).status is RunState.SUCCESS


def test_secrets_of_items_reach_no_file_of_the_run(tmp_path: Path, source: Path) -> None:
    @stage()
    def telling(bench: Bench, settings: Settings) -> Outcome:
        names = {0: "s3://me:hunter2@bucket"}
        good = list(bench.map(tell_a_secret, [0, 1], name=lambda i: names.get(i, str(i))))
        return Done(producer=ME, counts={"good": sum(m.is_good for m in good)})

    run, manifest = run_alone(tmp_path, source, telling)
    assert manifest.stages["telling"].counts == {"good": 1, "failed": 1}
    written = b"".join(path.read_bytes() for path in run.folder.rglob("*") if path.is_file())
    assert b"hunter2" not in written


def test_a_stage_all_of_whose_items_failed_keeps_their_errors(tmp_path: Path, source: Path) -> None:
    @stage()
    def hopeless(bench: Bench, settings: Settings) -> Outcome:
        bench.warn("w", "it looks bad")
        list(bench.map(double, [7, 14]))
        return Done(producer=ME)

    _, manifest = run_alone(tmp_path, source, hopeless)
    entry = manifest.stages["hopeless"]
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
def test_whatever_a_stage_raises_is_its_own_failure(
    tmp_path: Path, source: Path, error: BaseException
) -> None:
    @stage()
    def odd(bench: Bench, settings: Settings) -> Outcome:
        raise error

    @stage()
    def even(bench: Bench, settings: Settings) -> Outcome:
        return Done(producer=ME)

    run, manifest = run_alone(tmp_path, source, odd, even)
    assert manifest.stages["odd"].status is StageState.FAILED
    assert manifest.stages["even"].status is StageState.SUCCESS
    assert (run.folder / "manifest.json").stat().st_size < 100_000


def test_what_a_stage_tells_in_odd_numbers_and_names_does_no_harm(
    tmp_path: Path, source: Path
) -> None:
    @stage()
    def odd(bench: Bench, settings: Settings) -> Outcome:
        for done in (Fraction(1, 2), float("nan"), float("inf"), 1):
            bench.progress(done, None)  # type: ignore[arg-type] # as careless stages do
        bench.warn("w", "m", stage="x", level="y", event="z", at="n")
        return Done(producer=ME)

    _, manifest = run_alone(tmp_path, source, odd)
    assert manifest.status is RunState.SUCCESS


def lacking_tools(name: str, tools: list[str]) -> Plan:
    """The small plan, whose first stage depends on some distributions."""
    first = replace(PLAN.stages[0], tools=tuple(tools))
    return Plan(pipeline=name, stages=(first, *PLAN.stages[1:]))


def test_a_stage_whose_tool_is_not_installed_is_blocked_and_what_it_made_before_stands(
    tmp_path: Path, source: Path
) -> None:
    run = finished(tmp_path, source)
    manifest = execute(run, source, plan=lacking_tools("letters", ["no-such-distribution"]))
    blocked = manifest.stages["read"].blocked
    assert blocked is not None
    assert [reason.code for reason in blocked.reasons] == [ReasonCode.PROVIDER_UNAVAILABLE]
    assert "pip install 'no-such-distribution'" in blocked.reasons[0].got
    assert manifest.stages["speak"].status is StageState.SUCCESS
    witness = Witness()
    assert execute(run, source, witness=witness).status is RunState.SUCCESS
    assert witness.ran == []


def test_what_cannot_be_installed_can_be_switched_off(tmp_path: Path, source: Path) -> None:
    plan = lacking_tools("letters", ["no-such-distribution"])
    off = {"read": {"enabled": False}}
    run = reserve_run(tmp_path / "home", source, plan=plan, config=off)
    manifest = execute(run, source, plan=plan)
    assert {entry.status for entry in manifest.stages.values()} == {StageState.SKIPPED}


def test_a_lost_record_below_a_skipped_stage_is_mended_by_repair(
    tmp_path: Path, source: Path
) -> None:
    source.write_text("")
    run = reserve_run(tmp_path / "home", source)
    assert execute(run, source).stages["part"].status is StageState.SKIPPED
    (run.folder / "commits" / "read.a1.json").unlink()
    assert execute(run, source, repair=True).status is RunState.SUCCESS
    assert execute(run, source).status is RunState.SUCCESS


def test_a_torn_record_above_a_skipped_stage_is_mended_by_repair(
    tmp_path: Path, source: Path
) -> None:
    source.write_text("")
    run = reserve_run(tmp_path / "home", source)
    execute(run, source)
    (run.folder / "commits" / "part.a2.json").write_text("{")
    assert execute(run, source).status is RunState.FAILED
    assert execute(run, source, repair=True).status is RunState.SUCCESS
    assert execute(run, source).status is RunState.SUCCESS


def test_an_altered_file_of_a_stage_that_is_skipped_now_does_not_close_its_gate_for_good(
    tmp_path: Path, source: Path
) -> None:
    run = finished(tmp_path, source)

    @stage(requires=["read"], makes=[SCENES], version=2)
    def part(bench: Bench, settings: Settings) -> Outcome:
        return Skipped("no model today")

    plan = Plan(pipeline="letters", stages=(PLAN.stages[0], part, PLAN.stages[2]))
    execute(run, source, plan=plan)
    (run.folder / SCENES.path).write_text("altered")
    assert ReasonCode.DIGEST_MISMATCH in codes(execute(run, source, plan=plan), "part")
    assert execute(run, source, plan=plan, repair=True).status is RunState.SUCCESS
    assert execute(run, source, plan=plan).status is RunState.SUCCESS


@pytest.mark.parametrize("value", [object(), b"\xff", "\udc80", float("nan")])
def test_a_warning_that_json_cannot_hold_is_kept_as_text(
    tmp_path: Path, source: Path, value: object
) -> None:
    @stage()
    def odd(bench: Bench, settings: Settings) -> Outcome:
        deep: list[object] = []
        deep.append(deep)
        bench.warn("w", "m", value=value, deep=deep)
        return Done(producer=ME)

    _, manifest = run_alone(tmp_path, source, odd)
    assert manifest.status is RunState.SUCCESS
    assert manifest.stages["odd"].warnings[0]["code"] == "w"


def test_all_items_bad_is_a_failure_however_they_were_taken(tmp_path: Path, source: Path) -> None:
    @stage()
    def zipped(bench: Bench, settings: Settings) -> Outcome:
        items = [7, 14]
        for _ in zip(items, bench.map(double, items), strict=False):
            pass
        return Done(producer=ME)

    _, manifest = run_alone(tmp_path, source, zipped)
    assert manifest.stages["zipped"].status is StageState.FAILED
    assert manifest.stages["zipped"].warnings == ()


def test_a_crash_before_new_files_were_named_is_no_fault(tmp_path: Path, source: Path) -> None:
    run = finished(tmp_path, source)
    before = {path: (run.folder / path).read_bytes() for path in (LETTERS.path,)}
    source_of = PLAN.named("read")
    newer = Plan(pipeline="letters", stages=(replace(source_of, version=2), *PLAN.stages[1:]))
    execute(run, source, plan=newer)
    staged = run.folder / "attempts" / f"read.a2.{LETTERS.path}"
    (run.folder / LETTERS.path).rename(staged)
    (run.folder / LETTERS.path).write_bytes(before[LETTERS.path] + b" ")
    assert verify(run, newer).status is RunState.SUCCESS
    assert execute(run, source, plan=newer).status is RunState.SUCCESS
    assert not staged.exists()


def test_a_finished_file_takes_no_more_bytes(tmp_path: Path, source: Path) -> None:
    late: list[io.TextIOWrapper] = []

    @stage(makes=[BLOB])
    def blob(bench: Bench, settings: Settings) -> Outcome:
        with bench.create(BLOB) as file:
            late.append(io.TextIOWrapper(file))
            file.write(b"in time")
        with pytest.raises(ValueError, match=r"finished|closed"):
            late[0].write("late" * 10_000)
        return Done(producer=ME)

    run, manifest = run_alone(tmp_path, source, blob)
    assert manifest.status is RunState.SUCCESS
    assert (run.folder / BLOB.path).read_bytes() == b"in time"


def test_a_file_read_in_part_is_verified_too(tmp_path: Path, source: Path) -> None:
    @stage(requires=["count"], makes=[BLOB])
    def blob(bench: Bench, settings: Settings) -> Outcome:
        next(bench.read_records(NUMBERS, Number))
        path = run.folder / NUMBERS.path
        path.write_bytes(path.read_bytes()[:-3] + b"9}\n")
        with bench.create(BLOB) as file:
            file.write(b"x")
        return Done(producer=ME)

    plan = Plan(pipeline="graph", stages=(GRAPH.named("count"), blob))
    run = reserve_run(tmp_path / "home", source, plan=plan)
    error = execute(run, source, plan=plan).stages["blob"].error
    assert error is not None
    assert "changed after its gate was asked" in error.message


class Spelled(BaseModel):
    """A record whose field goes by another name in files."""

    number: int = Field(alias="Number")


SPELLED = records("spelled.jsonl", Spelled, schema="test.spelled")


def test_records_are_kept_so_that_their_own_model_reads_them(tmp_path: Path, source: Path) -> None:
    @stage(makes=[SPELLED])
    def spell(bench: Bench, settings: Settings) -> Outcome:
        bench.write_records(SPELLED, [Spelled(Number=1)])
        return Done(producer=ME)

    @stage(requires=["spell"], makes=[NUMBERS])
    def read(bench: Bench, settings: Settings) -> Outcome:
        read = list(bench.read_records(SPELLED, Spelled))
        wrong = {"number": str(read)}
        bench.write_records(NUMBERS, [Number.model_construct(**wrong)])  # type: ignore[arg-type]
        return Done(producer=ME)

    _, manifest = run_alone(tmp_path, source, spell, read)
    assert manifest.stages["spell"].status is StageState.SUCCESS
    error = manifest.stages["read"].error
    assert error is not None
    assert error.code == "contract_broken"


def test_a_table_with_destroyed_pages_is_found_out(tmp_path: Path, source: Path) -> None:
    run = reserve_run(tmp_path / "home", source, plan=GRAPH)
    execute(run, source, plan=GRAPH)
    path = run.folder / TABLE.path
    data = bytearray(path.read_bytes())
    data[4:60] = bytes(56)
    path.write_bytes(data)
    assert ReasonCode.SCHEMA_INVALID in codes(verify(run, GRAPH), "tabulate")


class Brittle(BaseModel):
    """A document whose model stumbles over what it does not expect."""

    letters: list[str]

    def model_post_init(self, context: object) -> None:
        {"a": 1}[self.letters[0]]


def test_a_model_that_stumbles_over_an_altered_file_closes_the_gate(
    tmp_path: Path, source: Path
) -> None:
    made = document("brittle.json", Brittle, schema="test.brittle")

    @stage(makes=[made])
    def brittle(bench: Bench, settings: Settings) -> Outcome:
        bench.write_document(made, Brittle(letters=["a"]))
        return Done(producer=ME)

    plan = Plan(pipeline="alone", stages=(brittle,))
    run = reserve_run(tmp_path / "home", source, plan=plan)
    execute(run, source, plan=plan)
    (run.folder / made.path).write_text('{"letters":["b"]}')
    assert ReasonCode.SCHEMA_INVALID in codes(execute(run, source, plan=plan), "brittle")


def test_items_that_were_not_all_taken_are_warned_of(tmp_path: Path, source: Path) -> None:
    @stage()
    def lazy(bench: Bench, settings: Settings) -> Outcome:
        next(bench.map(double, [1, 2, 3]))
        bench.map(double, [4])
        return Done(producer=ME)

    _, manifest = run_alone(tmp_path, source, lazy)
    assert [each["code"] for each in manifest.stages["lazy"].warnings] == ["items_left"]


def test_a_stale_runner_is_fenced_though_both_files_of_the_lease_are_gone(
    tmp_path: Path, source: Path
) -> None:
    run = finished(tmp_path, source)
    highest = max(record.epoch for record in run.ledger().records)
    with run.hold(MOMENT) as stale:
        (run.folder / "lease.lock").unlink()
        (run.folder / "lease.json").unlink()
        with run.hold(MOMENT) as lease:
            assert lease.epoch > highest
            before = run.close(lease)
            for late in (stale.check, lambda: run.refold(stale)):
                with pytest.raises(Held):
                    late()
    assert Manifest.parse((run.folder / "manifest.json").read_bytes()) == before


@pytest.mark.parametrize("contents", [b"{}", b"\xff\x00", b"", b"["])
@pytest.mark.parametrize("name", ["read.a1.json", "read.a2.json"])
def test_a_broken_record_is_named_with_all_that_it_closes_and_repair_goes_around_it(
    tmp_path: Path, source: Path, name: str, contents: bytes
) -> None:
    run = finished(tmp_path, source)
    whole = artifact_bytes(run)
    (run.folder / "commits" / name).write_bytes(contents)
    stands = verify(run, PLAN)
    assert stands.status is RunState.FAILED
    blocked = stands.stages["read"].blocked
    assert blocked is not None
    assert f"commits/{name}" in {reason.path for reason in blocked.reasons}
    assert execute(run, source).status is RunState.FAILED
    assert execute(run, source, repair=True).status is RunState.SUCCESS
    assert verify(run, PLAN).status is RunState.SUCCESS
    assert artifact_bytes(run) == whole


def test_other_peoples_files_among_the_records_are_no_records(tmp_path: Path, source: Path) -> None:
    run = finished(tmp_path, source)
    for name in ("notes.txt", "zzz.a1.json", "read.a1.json.bak", ".read.a9.json"):
        (run.folder / "commits" / name).write_text("{}")
    assert execute(run, source).status is RunState.SUCCESS


def test_stages_that_were_not_asked_for_are_verified_too(tmp_path: Path, source: Path) -> None:
    run = finished(tmp_path, source)
    (run.folder / SCENES.path).write_text("")
    manifest = execute(run, source, stages=["read"])
    assert manifest.status is RunState.FAILED
    assert ReasonCode.DIGEST_MISMATCH in codes(manifest, "part")
    assert manifest.stages["read"].status is StageState.SUCCESS


@pytest.mark.parametrize("name", ["part.a2.scenes.jsonl", "part.a9"])
def test_links_among_the_attempts_are_not_followed_and_do_not_stay(
    tmp_path: Path, source: Path, name: str
) -> None:
    run = finished(tmp_path, source)
    precious = tmp_path / "precious"
    precious.write_text("precious")
    (run.folder / "attempts" / name).symlink_to(precious)
    assert execute(run, source, force=True).status is RunState.SUCCESS
    assert precious.read_text() == "precious"
    assert not list((run.folder / "attempts").iterdir())


def test_a_folder_in_the_place_of_the_manifest_is_told_by_its_name(
    tmp_path: Path, source: Path
) -> None:
    run = reserve_run(tmp_path / "home", source)
    (run.folder / "manifest.json").mkdir()
    with pytest.raises(Invalid, match=r"manifest.json is in the way"):
        execute(run, source)


def test_a_run_is_stopped_with_items_at_work_in_a_pool_and_none_goes_on(
    tmp_path: Path, source: Path
) -> None:
    @stage()
    def pooled(bench: Bench, settings: Settings) -> Outcome:
        list(bench.map(linger, [str(tmp_path)]))
        return Done(producer=ME)

    plan = Plan(pipeline="pooled", stages=(pooled,))
    run = reserve_run(tmp_path / "home", source, plan=plan)

    def runner() -> None:
        def stop(number: int, frame: object) -> None:
            raise Interrupted("signal")

        signal.signal(signal.SIGTERM, stop)
        try:
            execute(run, source, plan=plan, jobs=2, executor=lambda lock: ProcessPool(2, lock))
        except Interrupted:
            os._exit(130)

    child = FORK.Process(target=runner)
    child.start()
    begun = tmp_path / "begun"
    deadline = time.monotonic() + 20
    while not (begun.exists() and begun.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert child.pid is not None
    stopped = time.monotonic()
    os.kill(child.pid, signal.SIGTERM)
    child.join(20)
    assert child.exitcode == 130
    assert time.monotonic() - stopped < 8, "it waited for an item that lasts a minute"
    stands = run.refold(None)
    assert stands.stages["pooled"].error is not None
    assert stands.stages["pooled"].error.code == "interrupted"
    assert not run.is_held()
