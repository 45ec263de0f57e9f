"""Plans as graphs: stages in parallel, fan-out over items, and files of every kind."""

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
from filmgate.core.ports import StageContext
from filmgate.core.states import RunState, StageState
from filmgate.engine.executors.process_pool import ProcessPool
from filmgate.engine.verification import verify
from filmgate.store.run_directory import FolderRun
from support.graph import BLOB, GRAPH, NUMBERS, TABLE, TOTAL, Number, Total, barrier_plan
from support.items import double
from support.runs import PRODUCER, RecordingObserver, artifact_bytes, execute, reserve_run


def graph_run(tmp_path: Path, source: Path, **config: Any) -> FolderRun:
    return reserve_run(tmp_path / "home", source, plan=GRAPH, config=config)


def reason_codes(manifest: Manifest, name: str) -> set[ReasonCode]:
    blocked = manifest.stages[name].blocked
    return {reason.code for reason in blocked.reasons} if blocked else set()


@pytest.mark.parametrize("jobs", [1, 3])
def test_every_kind_of_file_is_written_counted_and_read(
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


def test_the_number_of_jobs_does_not_change_the_files(tmp_path: Path, source: Path) -> None:
    one, many = graph_run(tmp_path / "1", source), graph_run(tmp_path / "3", source)
    first = execute(one, source, plan=GRAPH)
    second = execute(many, source, plan=GRAPH, jobs=3, executor=lambda lock: ProcessPool(2, lock))
    assert artifact_bytes(one, GRAPH) == artifact_bytes(many, GRAPH)
    assert [e.fingerprint for e in first.stages.values()] == [
        e.fingerprint for e in second.stages.values()
    ]


def test_independent_stages_run_in_parallel(tmp_path: Path, source: Path) -> None:
    plan = barrier_plan(3, timeout_s=20)
    run = reserve_run(tmp_path / "home", source, plan=plan)
    assert execute(run, source, plan=plan, jobs=3).status is RunState.SUCCESS


def test_no_more_stages_than_jobs_run_at_a_time(tmp_path: Path, source: Path) -> None:
    plan = barrier_plan(3, timeout_s=0.3)
    run = reserve_run(tmp_path / "home", source, plan=plan)
    manifest = execute(run, source, plan=plan, jobs=2)
    assert manifest.status is RunState.FAILED


def test_a_failed_item_is_recorded_by_name_and_the_stage_continues(
    tmp_path: Path, source: Path
) -> None:
    run = graph_run(tmp_path, source, count={"last": 15})
    manifest = execute(run, source, plan=GRAPH)
    entry = manifest.stages["count"]
    assert manifest.status is RunState.SUCCESS
    assert entry.counts == {"numbers": 13, "failed": 2}
    assert [(error.item, error.code) for error in entry.item_errors] == [
        ("7", "unexpected"),
        ("14", "unexpected"),
    ]
    assert manifest.metrics["counts"] == {
        "artifact_files": 4,
        "records": 28,
        "warnings": 0,
        "failed_items": 2,
    }
    logged = (run.folder / "logs" / "count.ndjson").read_text()
    assert logged.count('"event":"item.failed"') == 2


def test_under_strict_one_failed_item_fails_the_stage(tmp_path: Path, source: Path) -> None:
    run = graph_run(tmp_path, source, count={"last": 15})
    error = execute(run, source, plan=GRAPH, strict=True).stages["count"].error
    assert error is not None
    assert "item 7 failed" in error.message


def test_a_stage_whose_items_all_fail_fails(tmp_path: Path, source: Path) -> None:
    @stage()
    def failing(context: StageContext, settings: Settings) -> Outcome:
        list(context.map(double, [7, 14, 21]))
        return Done(producer=PRODUCER)

    plan = Plan(pipeline="failing", stages=(failing,))
    run = reserve_run(tmp_path / "home", source, plan=plan)
    error = execute(run, source, plan=plan).stages["failing"].error
    assert error is not None
    assert "every item failed" in error.message


def test_a_stage_that_reports_a_wrong_count_fails(tmp_path: Path, source: Path) -> None:
    @stage(makes=[NUMBERS])
    def count(context: StageContext, settings: Settings) -> Outcome:
        context.write_records(NUMBERS, [Number(number=1)])
        return Done(producer=PRODUCER, counts={"numbers": 2})

    plan = Plan(pipeline="miscount", stages=(count,))
    run = reserve_run(tmp_path / "home", source, plan=plan)
    error = execute(run, source, plan=plan).stages["count"].error
    assert error is not None
    assert "count 'numbers' of stage count is wrong: expected 1; got 2" in error.message


def change_column_type(path: Path) -> None:
    pq.write_table(pa.table({"number": pa.array(["one"])}), path)


def remove_rows(path: Path) -> None:
    pq.write_table(pq.read_table(path).slice(0, 2), path)


def remove_lines(path: Path) -> None:
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:2]))


def write_invalid_json(path: Path) -> None:
    path.write_bytes(b"{]\n")


BROKEN = {ReasonCode.DIGEST_MISMATCH, ReasonCode.SCHEMA_INVALID}
SHORT = {ReasonCode.DIGEST_MISMATCH, ReasonCode.COUNT_MISMATCH}


@pytest.mark.parametrize(
    ("contract", "tamper", "expected"),
    [
        (NUMBERS, write_invalid_json, BROKEN),
        (NUMBERS, remove_lines, SHORT),
        (TABLE, change_column_type, BROKEN),
        (TABLE, write_invalid_json, BROKEN),
        (TABLE, remove_rows, SHORT),
        (TOTAL, write_invalid_json, BROKEN),
        (BLOB, write_invalid_json, {ReasonCode.DIGEST_MISMATCH}),
    ],
)
def test_an_altered_file_is_also_read_and_every_fault_is_reported(
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
    maker = next(stage.name for stage in GRAPH.stages if contract in stage.makes)
    assert reason_codes(manifest, maker) == expected
    assert reason_codes(verify(run, GRAPH), maker) == expected


@pytest.mark.parametrize("contract", [NUMBERS, TABLE])
def test_a_file_that_breaks_its_contract_is_never_committed(
    tmp_path: Path, source: Path, contract: FileContract
) -> None:
    @stage(makes=[contract])
    def broken(context: StageContext, settings: Settings) -> Outcome:
        if contract is NUMBERS:
            context.write_records(NUMBERS, [Total(total=1)])
        else:
            with context.create(TABLE) as file:
                pq.write_table(pa.table({"other": [1]}), file)
        return Done(producer=PRODUCER)

    plan = Plan(pipeline="broken", stages=(broken,))
    run = reserve_run(tmp_path / "home", source, plan=plan)
    entry = execute(run, source, plan=plan).stages["broken"]
    assert entry.error is not None
    assert entry.error.code == "contract_broken"
    assert not (run.folder / contract.path).exists()
    assert not list((run.folder / "attempts").iterdir())


def test_a_file_read_by_path_that_changes_meanwhile_fails_the_stage(
    tmp_path: Path, source: Path
) -> None:
    @stage(requires=["count"], makes=[BLOB])
    def blob(context: StageContext, settings: Settings) -> Outcome:
        path = context.path(NUMBERS)
        with context.create(BLOB) as file:
            file.write(path.read_bytes())
        path.write_bytes(b"{}")
        return Done(producer=PRODUCER)

    plan = Plan(pipeline="graph", stages=(GRAPH.find_stage("count"), blob))
    run = reserve_run(tmp_path / "home", source, plan=plan)
    error = execute(run, source, plan=plan).stages["blob"].error
    assert error is not None
    assert "changed after its gate check" in error.message


def test_parallel_stages_are_stopped_and_each_gets_its_record(tmp_path: Path, source: Path) -> None:
    started = threading.Barrier(3)

    def endless(context: StageContext, settings: Settings) -> Outcome:
        started.wait(20)
        while True:
            context.progress(0, None)

    def left(context: StageContext, settings: Settings) -> Outcome:
        return endless(context, settings)

    def right(context: StageContext, settings: Settings) -> Outcome:
        return endless(context, settings)

    def bell(context: StageContext, settings: Settings) -> Outcome:
        started.wait(20)
        return Done(producer=PRODUCER)

    plan = Plan(pipeline="endless", stages=(stage()(left), stage()(right), stage()(bell)))
    run = reserve_run(tmp_path / "home", source, plan=plan)

    class Stopper(RecordingObserver):
        def stage_ended(self, stage: str, state: StageState, note: str, *, reused: bool) -> None:
            if stage == "bell":
                raise Interrupted("signal 15")

    with pytest.raises(Interrupted):
        execute(run, source, plan=plan, jobs=3, observer=Stopper())
    stages = run.fold_manifest(None).stages
    errors = [stages[name].error for name in ("left", "right")]
    assert [error.code for error in errors if error] == ["interrupted", "interrupted"]
    assert not run.is_held()


def test_a_stage_that_raises_system_exit_fails_alone(tmp_path: Path, source: Path) -> None:
    @stage()
    def leaving(context: StageContext, settings: Settings) -> Outcome:
        raise SystemExit(3)

    @stage()
    def staying(context: StageContext, settings: Settings) -> Outcome:
        return Done(producer=PRODUCER)

    plan = Plan(pipeline="leaving", stages=(leaving, staying))
    for jobs in (1, 2):
        run = reserve_run(tmp_path / "home", source, plan=plan)
        stages = execute(run, source, plan=plan, jobs=jobs).stages
        assert stages["leaving"].status is StageState.FAILED
        assert stages["staying"].status is StageState.SUCCESS


def test_a_stage_is_found_by_its_former_names(tmp_path: Path, source: Path) -> None:
    run = graph_run(tmp_path, source)
    observer = RecordingObserver()
    execute(run, source, plan=GRAPH, stages=["old count"], observer=observer)
    assert observer.ran == ["count"]
    with pytest.raises(ValueError, match="'tally': the name tally is already used"):
        Plan(pipeline="twice", stages=(*GRAPH.stages, stage()(tally)))
    with pytest.raises(ValueError, match=r"'tally' depends on uno: expected .* the plan: none"):
        Plan(pipeline="typo", stages=(stage(requires=["uno"])(tally),))


def tally(context: StageContext, settings: Settings) -> Outcome:
    """A stage whose name is an alias of another stage."""
    return Done(producer=PRODUCER)


def test_a_disabled_stage_is_skipped_and_blocked_if_it_was_selected_by_name(
    tmp_path: Path, source: Path
) -> None:
    run = graph_run(tmp_path, source, tabulate={"enabled": False})
    manifest = execute(run, source, plan=GRAPH)
    assert manifest.stages["tabulate"].reason == "switched off in the run's config"
    assert manifest.stages["total"].status is StageState.SKIPPED
    selected = execute(run, source, plan=GRAPH, stages=["tabulate"])
    assert reason_codes(selected, "tabulate") == {ReasonCode.STAGE_DISABLED}
