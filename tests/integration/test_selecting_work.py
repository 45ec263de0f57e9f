"""Selection of work: forecasts, adoption of edited files, and records of other runs."""

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from filmgate.core.errors import ContractBroken, NotFound
from filmgate.core.forecast import PlannedAction, StageForecast
from filmgate.core.gates import ReasonCode
from filmgate.core.ids import StageName
from filmgate.core.manifest import Manifest
from filmgate.core.payloads.built_in import BUILT_IN
from filmgate.core.plan import Done, Outcome, Plan, Settings, stage
from filmgate.core.ports import StageContext
from filmgate.core.states import RunState, StageState
from filmgate.engine.adoption import adopt
from filmgate.engine.inputs import read_inputs
from filmgate.engine.invocation import Request
from filmgate.engine.planning import forecast_new_run, forecast_run
from filmgate.engine.verification import verify
from filmgate.services.run_options import RunOptions, Verify
from filmgate.store import run_directory
from filmgate.store.durable import read_facts
from filmgate.store.run_directory import FolderRun
from support.runs import (
    LETTERS,
    MOMENT,
    PLAN,
    PRODUCER,
    SCENES,
    WORDS,
    RecordingObserver,
    artifact_bytes,
    execute,
    finished_run,
    reserve_run,
)


@pytest.mark.parametrize(
    ("options", "targets_existing_run"),
    [
        ({}, False),
        ({"workers": 2, "strict": True, "verify": Verify.FULL}, False),
        ({"repair": True}, True),
        ({"force": True}, True),
        ({"stages": ("part",)}, True),
        ({"resume_from": "part"}, True),
    ],
)
def test_options_about_an_existing_run_start_no_new_run(
    options: dict[str, Any], targets_existing_run: bool
) -> None:
    assert RunOptions(**options).targets_existing_run is targets_existing_run


def forecast(
    run: FolderRun, source: Path, *, plan: Plan = PLAN, **request: Any
) -> dict[str, StageForecast]:
    inputs = read_inputs({source.name: source}, lambda done, total: None)
    selection = Request(stages=frozenset(plan.names), **request)
    forecasts = forecast_run(plan, run, inputs, selection, BUILT_IN)
    return {forecast.stage: forecast for forecast in forecasts}


def actions(forecasts: dict[str, StageForecast]) -> list[PlannedAction]:
    return [forecast.fate for forecast in forecasts.values()]


def adopt_stage(run: FolderRun, name: str) -> Manifest:
    stage = PLAN.find_stage(name)
    return adopt(plan=PLAN, run=run, stage=stage, registry=BUILT_IN, clock=lambda: MOMENT, sinks=())


def reason_codes(manifest: Manifest, name: str) -> set[ReasonCode]:
    blocked = manifest.stages[name].blocked
    return {reason.code for reason in blocked.reasons} if blocked else set()


def test_a_complete_run_would_be_reused(tmp_path: Path, source: Path) -> None:
    run = finished_run(tmp_path, source)
    assert actions(forecast(run, source)) == [PlannedAction.REUSE] * 3


def test_a_new_run_would_run_the_selected_stages_only() -> None:
    config = PLAN.config({"part": {"enabled": False}})

    def forecast_actions(*names: str, named: bool = False) -> list[PlannedAction]:
        stages = frozenset(StageName(name) for name in names)
        request = Request(stages=stages, named=stages if named else frozenset())
        return [forecast.fate for forecast in forecast_new_run(PLAN, request, config)]

    assert forecast_actions("read") == [
        PlannedAction.RUN,
        PlannedAction.NOT_SELECTED,
        PlannedAction.NOT_SELECTED,
    ]
    assert forecast_actions("speak") == [
        PlannedAction.NOT_SELECTED,
        PlannedAction.NOT_SELECTED,
        PlannedAction.BLOCKED,
    ]
    assert forecast_actions(*PLAN.names) == [
        PlannedAction.RUN,
        PlannedAction.SKIP,
        PlannedAction.RUN,
    ]
    assert forecast_actions("read", "part", named=True) == [
        PlannedAction.RUN,
        PlannedAction.BLOCKED,
        PlannedAction.NOT_SELECTED,
    ]
    assert forecast_actions(*PLAN.names, named=True) == [
        PlannedAction.RUN,
        PlannedAction.BLOCKED,
        PlannedAction.RUN,
    ]
    config["read"]["enabled"] = False
    assert forecast_actions(*PLAN.names) == [PlannedAction.SKIP] * 3


def test_a_stage_that_uses_a_disabled_stage_is_forecast_to_run(
    tmp_path: Path, source: Path
) -> None:
    config = {"part": {"enabled": False}}
    run = reserve_run(tmp_path / "home", source, config=config)
    assert actions(forecast(run, source)) == [
        PlannedAction.RUN,
        PlannedAction.SKIP,
        PlannedAction.RUN,
    ]
    assert execute(run, source).stages["speak"].status is StageState.SUCCESS
    assert actions(forecast(run, source)) == [
        PlannedAction.REUSE,
        PlannedAction.SKIP,
        PlannedAction.REUSE,
    ]


def test_a_disabled_stage_whose_files_were_adopted_is_forecast_to_be_reused(
    tmp_path: Path, source: Path
) -> None:
    run = reserve_run(tmp_path / "home", source, config={"part": {"enabled": False}})
    execute(run, source)
    scenes = finished_run(tmp_path / "other", source).folder / SCENES.path
    shutil.copy(scenes, run.folder / SCENES.path)
    adopt_stage(run, "part")
    assert actions(forecast(run, source))[:2] == [PlannedAction.REUSE] * 2
    observer = RecordingObserver()
    assert execute(run, source, observer=observer).stages["part"].status is StageState.SUCCESS
    assert "part" not in observer.ran


def test_a_stage_that_requires_an_unselected_skipped_stage_is_forecast_to_be_skipped(
    tmp_path: Path, source: Path
) -> None:
    @stage(requires=["part"])
    def last(context: StageContext, settings: Settings) -> Outcome:
        return Done(producer=PRODUCER)

    plan = Plan(pipeline="letters", stages=(*PLAN.stages, last))
    run = reserve_run(tmp_path / "home", source, plan=plan, config={"part": {"enabled": False}})
    execute(run, source, plan=plan, stages=["read", "part"])
    inputs = read_inputs({source.name: source}, lambda done, total: None)
    stages = frozenset({StageName("last")})
    *_, skip = forecast_run(plan, run, inputs, Request(stages=stages), BUILT_IN)
    *_, block = forecast_run(plan, run, inputs, Request(stages=stages, named=stages), BUILT_IN)
    entry = execute(run, source, plan=plan, stages=["last"]).stages["last"]
    assert (skip.fate, skip.why) == (PlannedAction.SKIP, entry.reason)
    assert block.fate is PlannedAction.BLOCKED
    assert entry.blocked is not None
    assert entry.blocked.reasons == block.reasons


def test_a_broken_file_of_an_unselected_stage_is_forecast_too(tmp_path: Path, source: Path) -> None:
    run = finished_run(tmp_path, source)
    (run.folder / WORDS.path).write_text("")
    inputs = read_inputs({source.name: source}, lambda done, total: None)
    request = Request(stages=frozenset({StageName("read")}))
    forecasts = forecast_run(PLAN, run, inputs, request, BUILT_IN)
    assert [forecast.fate for forecast in forecasts] == [
        PlannedAction.REUSE,
        PlannedAction.NOT_SELECTED,
        PlannedAction.BLOCKED,
    ]


def test_the_part_of_the_fingerprint_that_changed_is_named(tmp_path: Path, source: Path) -> None:
    run = finished_run(tmp_path, source)
    newer = replace(PLAN.find_stage("part"), version=2, tools=("pytest",))
    plan = Plan(pipeline="letters", stages=(PLAN.stages[0], newer, PLAN.stages[2]))
    forecasts = forecast(run, source, plan=plan)
    assert actions(forecasts) == [
        PlannedAction.REUSE,
        PlannedAction.RUN,
        PlannedAction.DEPENDS_ON_UPSTREAM,
    ]
    changes = [(change.part, change.was, change.now) for change in forecasts["part"].changes]
    assert changes == [("tools.pytest", None, pytest.__version__), ("version", "1", "2")]
    observer = RecordingObserver()
    execute(run, source, plan=plan, observer=observer)
    assert observer.ran == ["part"]


def test_a_forced_stage_is_forecast_to_run(tmp_path: Path, source: Path) -> None:
    run = finished_run(tmp_path, source)
    inputs = read_inputs({source.name: source}, lambda done, total: None)
    request = Request(stages=frozenset({StageName("read")}), force=True)
    (read, *_) = forecast_run(PLAN, run, inputs, request, BUILT_IN)
    assert (read.fate, read.why) == (PlannedAction.RUN, "forced")
    forecasts = forecast(run, source, force=True)
    assert [stage.why for stage in forecasts.values()] == ["forced"] * 3


def test_files_that_a_crash_left_in_staging_are_forecast_as_present(
    tmp_path: Path, source: Path
) -> None:
    run = finished_run(tmp_path, source)
    (run.folder / LETTERS.path).rename(run.folder / "attempts" / f"read.a1.{LETTERS.path}")
    assert actions(forecast(run, source)) == [PlannedAction.REUSE] * 3
    observer = RecordingObserver()
    assert execute(run, source, observer=observer).status is RunState.SUCCESS
    assert observer.ran == []


def test_under_repair_a_stage_with_a_missing_file_runs_regardless_of_the_stages_before_it(
    tmp_path: Path, source: Path
) -> None:
    run = finished_run(tmp_path, source)
    for path in (LETTERS.path, SCENES.path):
        (run.folder / path).unlink()
    forecasts = forecast(run, source, repair=True)
    assert actions(forecasts) == [
        PlannedAction.RUN,
        PlannedAction.RUN,
        PlannedAction.DEPENDS_ON_UPSTREAM,
    ]


def test_a_closed_gate_is_forecast_with_its_reasons(tmp_path: Path, source: Path) -> None:
    run = finished_run(tmp_path, source)
    (run.folder / LETTERS.path).write_text("{}")
    forecasts = forecast(run, source)
    assert actions(forecasts) == [PlannedAction.BLOCKED] * 3
    assert {reason.path for reason in forecasts["speak"].reasons} == {LETTERS.path}
    assert actions(forecast(run, source, repair=True)) == [
        PlannedAction.RUN,
        PlannedAction.DEPENDS_ON_UPSTREAM,
        PlannedAction.DEPENDS_ON_UPSTREAM,
    ]


def test_a_forecast_writes_nothing(tmp_path: Path, source: Path) -> None:
    run = finished_run(tmp_path, source)
    (run.folder / SCENES.path).unlink()
    before = sorted((p, p.stat().st_mtime_ns) for p in run.folder.rglob("*"))
    forecast(run, source)
    assert sorted((p, p.stat().st_mtime_ns) for p in run.folder.rglob("*")) == before


@pytest.mark.parametrize("tamper", ["nothing", "cut", "delete", "force", "later"])
def test_the_forecast_is_what_happens(tmp_path: Path, source: Path, tamper: str) -> None:
    run = finished_run(tmp_path, source)
    request: dict[str, Any] = {}
    if tamper == "cut":
        (run.folder / LETTERS.path).write_text("{}")
        request = {"repair": True}
    elif tamper == "delete":
        (run.folder / "commits" / "speak.a1.json").unlink()
        request = {"repair": True}
    elif tamper == "force":
        request = {"force": True}
    elif tamper == "later":
        (run.folder / SCENES.path).write_text("")
    forecasts = forecast(run, source, **request)
    observer = RecordingObserver()
    stages = execute(run, source, observer=observer, **request).stages
    for name, forecasted in forecasts.items():
        match forecasted.fate:
            case PlannedAction.RUN:
                assert name in observer.ran
            case PlannedAction.REUSE:
                assert name not in observer.ran
            case PlannedAction.BLOCKED:
                assert stages[name].status is StageState.BLOCKED
            case _:
                assert stages[name].status is StageState.SUCCESS


def test_edited_files_are_adopted_as_a_new_attempt_and_later_stages_are_due(
    tmp_path: Path, source: Path
) -> None:
    run = finished_run(tmp_path, source)
    (run.folder / LETTERS.path).write_bytes(b'{"letters":["x","y"]}\n')
    assert execute(run, source).status is RunState.FAILED
    manifest = adopt_stage(run, "read")
    entry = manifest.stages["read"]
    assert (entry.status, entry.attempt) == (StageState.SUCCESS, 2)
    assert entry.producer is not None
    assert entry.producer.name == "human"
    assert manifest.stages["part"].status is StageState.PENDING
    observer = RecordingObserver()
    assert execute(run, source, observer=observer).status is RunState.SUCCESS
    assert observer.ran == ["part", "speak"]
    assert (run.folder / LETTERS.path).read_bytes() == b'{"letters":["x","y"]}\n'
    assert verify(run, PLAN).status is RunState.SUCCESS


def test_adopting_recorded_files_changes_nothing(tmp_path: Path, source: Path) -> None:
    run = finished_run(tmp_path, source)
    before = run.fold_manifest(None)
    assert adopt_stage(run, "part") == before


@pytest.mark.parametrize(
    "contents", [b"", b"{}\n", b'{"ordinal":1,"span_start_ms":0,"span_end_ms":1,"payload":{}}\n']
)
def test_files_that_break_their_contract_are_not_adopted(
    tmp_path: Path, source: Path, contents: bytes
) -> None:
    run = finished_run(tmp_path, source)
    (run.folder / SCENES.path).write_bytes(contents)
    records = sorted((run.folder / "commits").iterdir())
    with pytest.raises(ContractBroken, match="cannot be adopted"):
        adopt_stage(run, "part")
    assert sorted((run.folder / "commits").iterdir()) == records
    assert (run.folder / SCENES.path).read_bytes() == contents
    assert not list((run.folder / "attempts").iterdir())


def test_a_missing_file_cannot_be_adopted(tmp_path: Path, source: Path) -> None:
    run = finished_run(tmp_path, source)
    (run.folder / WORDS.path).unlink()
    with pytest.raises(NotFound, match=f"{WORDS.path} is missing"):
        adopt_stage(run, "speak")


def test_a_stage_that_depends_on_a_broken_file_is_not_adopted(tmp_path: Path, source: Path) -> None:
    run = finished_run(tmp_path, source)
    (run.folder / LETTERS.path).write_text("{}")
    assert ReasonCode.DIGEST_MISMATCH in reason_codes(adopt_stage(run, "part"), "part")


def test_a_record_of_another_run_closes_the_gate_and_its_run_is_named(
    tmp_path: Path, source: Path
) -> None:
    run = finished_run(tmp_path, source)
    other = reserve_run(tmp_path / "home", source, run_id="other")
    execute(other, source, stages=["read"])
    shutil.copy(other.folder / "commits" / "read.a1.json", run.folder / "commits")
    manifest = execute(run, source)
    assert ReasonCode.RUN_ID_MISMATCH in reason_codes(manifest, "read")
    assert ReasonCode.RUN_ID_MISMATCH in reason_codes(verify(run), "read")
    reasons = manifest.stages["read"].blocked
    assert reasons is not None
    assert "film/other" in str(reasons.reasons)
    assert execute(run, source, repair=True).stages["read"].attempt == 2


def test_a_folder_with_the_name_of_another_run_is_not_executed_but_can_be_verified(
    tmp_path: Path, source: Path
) -> None:
    run = finished_run(tmp_path, source)
    copy = FolderRun(Path(shutil.copytree(run.folder, tmp_path / "copy")))
    assert verify(copy).status is RunState.SUCCESS
    assert reason_codes(execute(copy, source, force=True), "read") == {ReasonCode.RUN_ID_MISMATCH}


def test_verify_full_reads_every_file_at_every_gate(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = finished_run(tmp_path, source)
    for path in artifact_bytes(run):
        os.utime(run.folder / path, ns=(0, 0))
    monkeypatch.setattr(run_directory, "CLOCK_TICK_NS", 0)
    reads: dict[bool, int] = {}
    for trust in (True, False):
        reader = _CountingReader()
        monkeypatch.setattr(run_directory, "read_facts", reader)
        execute(FolderRun(run.folder, trust_times=trust), source)
        reads[trust] = reader.calls
    assert reads[True] == 3
    assert reads[False] > reads[True]


class _CountingReader:
    """Reads files, and counts them."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, path: Path) -> object:
        self.calls += 1
        return read_facts(path)
