"""Plans as graphs: side by side, fanned out, with files of every kind."""

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet as pq

from filmgate.core.errors import Interrupted
from filmgate.core.files import FileContract
from filmgate.core.gates import ReasonCode
from filmgate.core.manifest import Manifest
from filmgate.core.plan import Done, Outcome, Plan, Settings, stage
from filmgate.core.ports import Bench
from filmgate.core.states import RunState, StageState
from filmgate.engine.executors.process_pool import ProcessPool
from filmgate.engine.verification import verify
from filmgate.store.run_directory import FolderRun
from support.graph import BLOB, GRAPH, NUMBERS, TABLE, TOTAL, Number, Total, meeting
from support.items import double
from support.runs import ME, Witness, artifact_bytes, execute, reserve_run


def graph_run(tmp_path: Path, source: Path, **config: Any) -> FolderRun:
    return reserve_run(tmp_path / "home", source, plan=GRAPH, config=config)


def codes(manifest: Manifest, name: str) -> set[ReasonCode]:
    blocked = manifest.stages[name].blocked
    return {reason.code for reason in blocked.reasons} if blocked else set()


@pytest.mark.parametrize("jobs", [1, 3])
def test_every_kind_of_file_is_made_counted_and_read(
    tmp_path: Path, source: Path, jobs: int
) -> None:
    run = graph_run(tmp_path, source)
    manifest = execute(run, source, plan=GRAPH, jobs=jobs)
    assert manifest.status is RunState.SUCCESS
    assert manifest.stages["count"].counts == {"numbers": 6, "failed": 0}
    assert manifest.stages["tabulate"].counts == {"rows": 6}
    media = {ref.path: (ref.media_type, ref.records) for _, _, ref in manifest.artifact_refs}
    assert media == {
        NUMBERS.path: ("application/x-ndjson", 6),
        TABLE.path: ("application/vnd.apache.parquet", 6),
        BLOB.path: ("application/octet-stream", 1),
        TOTAL.path: ("application/json", 1),
    }
    assert json.loads((run.folder / TOTAL.path).read_bytes()) == {"total": 42}
    assert verify(run, GRAPH).status is RunState.SUCCESS


def test_jobs_change_when_things_are_done_and_not_what_comes_out(
    tmp_path: Path, source: Path
) -> None:
    one, many = graph_run(tmp_path / "1", source), graph_run(tmp_path / "3", source)
    first = execute(one, source, plan=GRAPH)
    second = execute(many, source, plan=GRAPH, jobs=3, executor=lambda lock: ProcessPool(2, lock))
    assert artifact_bytes(one, GRAPH) == artifact_bytes(many, GRAPH)
    assert [e.fingerprint for e in first.stages.values()] == [
        e.fingerprint for e in second.stages.values()
    ]


def test_stages_that_do_not_stand_on_each_other_run_side_by_side(
    tmp_path: Path, source: Path
) -> None:
    plan = meeting(3, timeout_s=20)
    run = reserve_run(tmp_path / "home", source, plan=plan)
    assert execute(run, source, plan=plan, jobs=3).status is RunState.SUCCESS


def test_never_more_stages_at_a_time_than_jobs(tmp_path: Path, source: Path) -> None:
    plan = meeting(3, timeout_s=0.3)
    run = reserve_run(tmp_path / "home", source, plan=plan)
    manifest = execute(run, source, plan=plan, jobs=2)
    assert manifest.status is RunState.FAILED


def test_a_bad_item_is_kept_by_name_and_the_stage_goes_on(tmp_path: Path, source: Path) -> None:
    run = graph_run(tmp_path, source, count={"last": 15})
    manifest = execute(run, source, plan=GRAPH)
    entry = manifest.stages["count"]
    assert manifest.status is RunState.SUCCESS
    assert entry.counts == {"numbers": 13, "failed": 2}
    assert [(error.item, error.code) for error in entry.item_errors] == [
        ("7", "unexpected"),
        ("14", "unexpected"),
    ]
    assert manifest.metrics["counts"]["failed_items"] == 2
    logged = (run.folder / "logs" / "count.ndjson").read_text()
    assert logged.count('"event":"item.failed"') == 2


def test_under_strict_one_bad_item_fails_the_stage(tmp_path: Path, source: Path) -> None:
    run = graph_run(tmp_path, source, count={"last": 15})
    error = execute(run, source, plan=GRAPH, strict=True).stages["count"].error
    assert error is not None
    assert "item 7 failed" in error.message


def test_a_stage_all_of_whose_items_are_bad_fails(tmp_path: Path, source: Path) -> None:
    @stage()
    def hopeless(bench: Bench, settings: Settings) -> Outcome:
        list(bench.map(double, [7, 14, 21]))
        return Done(producer=ME)

    plan = Plan(pipeline="hopeless", stages=(hopeless,))
    run = reserve_run(tmp_path / "home", source, plan=plan)
    error = execute(run, source, plan=plan).stages["hopeless"].error
    assert error is not None
    assert "every item failed" in error.message


def test_a_stage_that_miscounts_what_it_made_fails(tmp_path: Path, source: Path) -> None:
    @stage(makes=[NUMBERS])
    def count(bench: Bench, settings: Settings) -> Outcome:
        bench.write_records(NUMBERS, [Number(number=1)])
        return Done(producer=ME, counts={"numbers": 2})

    plan = Plan(pipeline="miscount", stages=(count,))
    run = reserve_run(tmp_path / "home", source, plan=plan)
    error = execute(run, source, plan=plan).stages["count"].error
    assert error is not None
    assert "miscounted its numbers: expected 1; got 2" in error.message


def wrong_column(path: Path) -> None:
    pq.write_table(pa.table({"number": pa.array(["one"])}), path)


def fewer_rows(path: Path) -> None:
    pq.write_table(pq.read_table(path).slice(0, 2), path)


def fewer_lines(path: Path) -> None:
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:2]))


def no_json(path: Path) -> None:
    path.write_bytes(b"{]\n")


BROKEN = {ReasonCode.DIGEST_MISMATCH, ReasonCode.SCHEMA_INVALID}
SHORT = {ReasonCode.DIGEST_MISMATCH, ReasonCode.COUNT_MISMATCH}


@pytest.mark.parametrize(
    ("contract", "tamper", "expected"),
    [
        (NUMBERS, no_json, BROKEN),
        (NUMBERS, fewer_lines, SHORT),
        (TABLE, wrong_column, BROKEN),
        (TABLE, no_json, BROKEN),
        (TABLE, fewer_rows, SHORT),
        (TOTAL, no_json, BROKEN),
        (BLOB, no_json, {ReasonCode.DIGEST_MISMATCH}),
    ],
)
def test_an_altered_file_is_also_read_and_every_fault_of_it_told(
    tmp_path: Path,
    source: Path,
    contract: FileContract,
    tamper: Callable[[Path], None],
    expected: set[ReasonCode],
) -> None:
    run = graph_run(tmp_path, source)
    execute(run, source, plan=GRAPH)
    tamper(run.folder / contract.path)
    manifest = execute(run, source, plan=GRAPH)
    maker = next(each.name for each in GRAPH.stages if contract in each.makes)
    assert codes(manifest, maker) == expected
    assert codes(verify(run, GRAPH), maker) == expected


@pytest.mark.parametrize("made", [NUMBERS, TABLE])
def test_a_file_that_its_contract_forbids_is_never_committed(
    tmp_path: Path, source: Path, made: FileContract
) -> None:
    @stage(makes=[made])
    def broken(bench: Bench, settings: Settings) -> Outcome:
        if made is NUMBERS:
            bench.write_records(NUMBERS, [Total(total=1)])
        else:
            with bench.create(TABLE) as file:
                pq.write_table(pa.table({"other": [1]}), file)
        return Done(producer=ME)

    plan = Plan(pipeline="broken", stages=(broken,))
    run = reserve_run(tmp_path / "home", source, plan=plan)
    entry = execute(run, source, plan=plan).stages["broken"]
    assert entry.error is not None
    assert entry.error.code == "contract_broken"
    assert not (run.folder / made.path).exists()
    assert not list((run.folder / "attempts").iterdir())


def test_a_lent_file_that_changes_while_it_is_read_is_not_vouched_for(
    tmp_path: Path, source: Path
) -> None:
    @stage(requires=["count"], makes=[BLOB])
    def blob(bench: Bench, settings: Settings) -> Outcome:
        path = bench.path(NUMBERS)
        with bench.create(BLOB) as file:
            file.write(path.read_bytes())
        path.write_bytes(b"{}")
        return Done(producer=ME)

    plan = Plan(pipeline="graph", stages=(GRAPH.named("count"), blob))
    run = reserve_run(tmp_path / "home", source, plan=plan)
    error = execute(run, source, plan=plan).stages["blob"].error
    assert error is not None
    assert "changed after its gate was asked" in error.message


def test_stages_at_work_side_by_side_are_stopped_and_each_leaves_its_record(
    tmp_path: Path, source: Path
) -> None:
    begun = threading.Barrier(3)

    def endless(bench: Bench, settings: Settings) -> Outcome:
        begun.wait(20)
        while True:
            bench.progress(0, None)

    def left(bench: Bench, settings: Settings) -> Outcome:
        return endless(bench, settings)

    def right(bench: Bench, settings: Settings) -> Outcome:
        return endless(bench, settings)

    def bell(bench: Bench, settings: Settings) -> Outcome:
        begun.wait(20)
        return Done(producer=ME)

    plan = Plan(pipeline="endless", stages=(stage()(left), stage()(right), stage()(bell)))
    run = reserve_run(tmp_path / "home", source, plan=plan)

    class Stopper(Witness):
        def stage_ended(self, stage: str, state: StageState, note: str, *, reused: bool) -> None:
            if stage == "bell":
                raise Interrupted("signal 15")

    with pytest.raises(Interrupted):
        execute(run, source, plan=plan, jobs=3, witness=Stopper())
    stands = run.refold(None).stages
    errors = [stands[name].error for name in ("left", "right")]
    assert [error.code for error in errors if error] == ["interrupted", "interrupted"]
    assert not run.is_held()


def test_a_stage_that_asks_to_exit_fails_alone(tmp_path: Path, source: Path) -> None:
    @stage()
    def leaving(bench: Bench, settings: Settings) -> Outcome:
        raise SystemExit(3)

    @stage()
    def staying(bench: Bench, settings: Settings) -> Outcome:
        return Done(producer=ME)

    plan = Plan(pipeline="leaving", stages=(leaving, staying))
    for jobs in (1, 2):
        run = reserve_run(tmp_path / "home", source, plan=plan)
        stages = execute(run, source, plan=plan, jobs=jobs).stages
        assert stages["leaving"].status is StageState.FAILED
        assert stages["staying"].status is StageState.SUCCESS


def test_a_stage_answers_to_the_names_it_went_by_before(tmp_path: Path, source: Path) -> None:
    run = graph_run(tmp_path, source)
    witness = Witness()
    execute(run, source, plan=GRAPH, stages=["old count"], witness=witness)
    assert witness.ran == ["count"]
    with pytest.raises(ValueError, match="'tally': tally stands twice"):
        Plan(pipeline="twice", stages=(*GRAPH.stages, stage()(tally)))
    with pytest.raises(ValueError, match=r"'tally' stands on uno: expected .* one of no"):
        Plan(pipeline="typo", stages=(stage(requires=["uno"])(tally),))


def tally(bench: Bench, settings: Settings) -> Outcome:
    """Goes by a former name of another stage."""
    return Done(producer=ME)


def test_a_stage_that_is_switched_off_is_skipped_and_told_where_it_was_asked_for(
    tmp_path: Path, source: Path
) -> None:
    run = graph_run(tmp_path, source, tabulate={"enabled": False})
    manifest = execute(run, source, plan=GRAPH)
    assert manifest.stages["tabulate"].reason == "switched off in the run's config"
    assert manifest.stages["total"].status is StageState.SKIPPED
    asked = execute(run, source, plan=GRAPH, stages=["tabulate"])
    assert codes(asked, "tabulate") == {ReasonCode.STAGE_DISABLED}
