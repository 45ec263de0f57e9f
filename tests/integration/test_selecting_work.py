"""Selecting work: what a run would do, files mended by hand, records of other runs."""

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from filmgate.app.run_options import RunOptions
from filmgate.core.errors import ContractBroken, NotFound
from filmgate.core.forecast import Fate, StageForecast
from filmgate.core.gates import ReasonCode
from filmgate.core.ids import StageName
from filmgate.core.manifest import Manifest
from filmgate.core.payloads.built_in import BUILT_IN
from filmgate.core.plan import Plan
from filmgate.core.states import RunState, StageState
from filmgate.engine.adoption import adopt
from filmgate.engine.inputs import read_inputs
from filmgate.engine.invocation import Request
from filmgate.engine.planning import foresee, foresee_new
from filmgate.engine.verification import verify
from filmgate.store import run_directory
from filmgate.store.durable import read_facts
from filmgate.store.run_directory import FolderRun
from support.runs import (
    LETTERS,
    MOMENT,
    PLAN,
    SCENES,
    WORDS,
    Witness,
    artifact_bytes,
    execute,
    finished,
    reserve_run,
)


@pytest.mark.parametrize(
    ("asked", "goes_on"),
    [
        ({}, False),
        ({"jobs": 2, "strict": True, "verify_full": True}, False),
        ({"repair": True}, True),
        ({"force": True}, True),
        ({"stages": ("part",)}, True),
        ({"resume_from": "part"}, True),
    ],
)
def test_what_is_asked_of_a_run_that_is_there_begins_no_other(
    asked: dict[str, Any], goes_on: bool
) -> None:
    assert RunOptions(**asked).goes_on is goes_on


def forecast(
    run: FolderRun, source: Path, *, plan: Plan = PLAN, **request: Any
) -> dict[str, StageForecast]:
    inputs = read_inputs({source.name: source}, lambda done, total: None)
    asked = Request(stages=frozenset(plan.names), **request)
    return {each.stage: each for each in foresee(plan, run, inputs, asked, BUILT_IN)}


def fates(forecasts: dict[str, StageForecast]) -> list[Fate]:
    return [each.fate for each in forecasts.values()]


def take(run: FolderRun, name: str) -> Manifest:
    stage = PLAN.named(name)
    return adopt(plan=PLAN, run=run, stage=stage, registry=BUILT_IN, clock=lambda: MOMENT, sinks=())


def codes(manifest: Manifest, name: str) -> set[ReasonCode]:
    blocked = manifest.stages[name].blocked
    return {reason.code for reason in blocked.reasons} if blocked else set()


def test_a_whole_run_would_be_reused(tmp_path: Path, source: Path) -> None:
    run = finished(tmp_path, source)
    assert fates(forecast(run, source)) == [Fate.REUSE] * 3


def test_a_new_run_would_run_what_is_asked_for_and_leave_the_rest() -> None:
    config = PLAN.config({"part": {"enabled": False}})

    def foreseen(*names: str, named: bool = False) -> list[Fate]:
        stages = frozenset(StageName(name) for name in names)
        asked = Request(stages=stages, named=stages if named else frozenset())
        return [each.fate for each in foresee_new(PLAN, asked, config)]

    assert foreseen("read") == [Fate.RUN, Fate.LEFT, Fate.LEFT]
    assert foreseen("speak") == [Fate.LEFT, Fate.LEFT, Fate.BLOCKED]
    assert foreseen(*PLAN.names) == [Fate.RUN, Fate.SKIP, Fate.RUN]
    assert foreseen("read", "part", named=True) == [Fate.RUN, Fate.BLOCKED, Fate.LEFT]
    assert foreseen(*PLAN.names, named=True) == [Fate.RUN, Fate.BLOCKED, Fate.RUN]
    config["read"]["enabled"] = False
    assert foreseen(*PLAN.names) == [Fate.SKIP] * 3


def test_what_merely_uses_a_stage_that_is_off_is_foreseen_to_run(
    tmp_path: Path, source: Path
) -> None:
    off = {"part": {"enabled": False}}
    run = reserve_run(tmp_path / "home", source, config=off)
    assert fates(forecast(run, source)) == [Fate.RUN, Fate.SKIP, Fate.RUN]
    assert execute(run, source).stages["speak"].status is StageState.SUCCESS
    assert fates(forecast(run, source)) == [Fate.REUSE, Fate.SKIP, Fate.REUSE]


def test_a_broken_file_of_a_stage_that_is_not_asked_for_is_foreseen_too(
    tmp_path: Path, source: Path
) -> None:
    run = finished(tmp_path, source)
    (run.folder / WORDS.path).write_text("")
    inputs = read_inputs({source.name: source}, lambda done, total: None)
    asked = Request(stages=frozenset({StageName("read")}))
    told = [each.fate for each in foresee(PLAN, run, inputs, asked, BUILT_IN)]
    assert told == [Fate.REUSE, Fate.LEFT, Fate.BLOCKED]


def test_the_part_of_the_fingerprint_that_changed_is_named(tmp_path: Path, source: Path) -> None:
    run = finished(tmp_path, source)
    newer = replace(PLAN.named("part"), version=2, tools=("pytest",))
    plan = Plan(pipeline="letters", stages=(PLAN.stages[0], newer, PLAN.stages[2]))
    foreseen = forecast(run, source, plan=plan)
    assert fates(foreseen) == [Fate.REUSE, Fate.RUN, Fate.PERHAPS]
    changes = [(each.part, each.was, each.now) for each in foreseen["part"].changes]
    assert changes == [("tools.pytest", None, pytest.__version__), ("version", "1", "2")]
    witness = Witness()
    execute(run, source, plan=plan, witness=witness)
    assert witness.ran == ["part"]


def test_what_stands_on_a_forced_stage_runs_perhaps(tmp_path: Path, source: Path) -> None:
    run = finished(tmp_path, source)
    inputs = read_inputs({source.name: source}, lambda done, total: None)
    asked = Request(stages=frozenset({StageName("read")}), force=True)
    (read, *_) = foresee(PLAN, run, inputs, asked, BUILT_IN)
    assert (read.fate, read.why) == (Fate.RUN, "forced")
    foreseen = forecast(run, source, force=True)
    assert [each.why for each in foreseen.values()] == ["forced"] * 3


def test_files_that_a_crash_left_unnamed_are_foreseen_as_there(
    tmp_path: Path, source: Path
) -> None:
    run = finished(tmp_path, source)
    (run.folder / LETTERS.path).rename(run.folder / "attempts" / f"read.a1.{LETTERS.path}")
    assert fates(forecast(run, source)) == [Fate.REUSE] * 3
    witness = Witness()
    assert execute(run, source, witness=witness).status is RunState.SUCCESS
    assert witness.ran == []


def test_under_repair_what_is_gone_runs_whatever_comes_before_it(
    tmp_path: Path, source: Path
) -> None:
    run = finished(tmp_path, source)
    for path in (LETTERS.path, SCENES.path):
        (run.folder / path).unlink()
    foreseen = forecast(run, source, repair=True)
    assert fates(foreseen) == [Fate.RUN, Fate.RUN, Fate.PERHAPS]


def test_a_closed_gate_is_foreseen_with_its_reasons(tmp_path: Path, source: Path) -> None:
    run = finished(tmp_path, source)
    (run.folder / LETTERS.path).write_text("{}")
    foreseen = forecast(run, source)
    assert fates(foreseen) == [Fate.BLOCKED] * 3
    assert {reason.path for reason in foreseen["speak"].reasons} == {LETTERS.path}
    assert fates(forecast(run, source, repair=True)) == [Fate.RUN, Fate.PERHAPS, Fate.PERHAPS]


def test_a_forecast_writes_nothing(tmp_path: Path, source: Path) -> None:
    run = finished(tmp_path, source)
    (run.folder / SCENES.path).unlink()
    before = sorted((p, p.stat().st_mtime_ns) for p in run.folder.rglob("*"))
    forecast(run, source)
    assert sorted((p, p.stat().st_mtime_ns) for p in run.folder.rglob("*")) == before


@pytest.mark.parametrize("tamper", ["nothing", "cut", "delete", "force", "later"])
def test_what_is_foreseen_is_what_happens(tmp_path: Path, source: Path, tamper: str) -> None:
    run = finished(tmp_path, source)
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
    foreseen = forecast(run, source, **request)
    witness = Witness()
    stages = execute(run, source, witness=witness, **request).stages
    for name, each in foreseen.items():
        match each.fate:
            case Fate.RUN:
                assert name in witness.ran
            case Fate.REUSE:
                assert name not in witness.ran
            case Fate.BLOCKED:
                assert stages[name].status is StageState.BLOCKED
            case _:
                assert stages[name].status is StageState.SUCCESS


def test_files_mended_by_hand_are_adopted_as_a_new_attempt_and_what_follows_is_due(
    tmp_path: Path, source: Path
) -> None:
    run = finished(tmp_path, source)
    (run.folder / LETTERS.path).write_bytes(b'{"letters":["x","y"]}\n')
    assert execute(run, source).status is RunState.FAILED
    manifest = take(run, "read")
    entry = manifest.stages["read"]
    assert (entry.status, entry.attempt) == (StageState.SUCCESS, 2)
    assert entry.producer is not None
    assert entry.producer.name == "human"
    assert manifest.stages["part"].status is StageState.PENDING
    witness = Witness()
    assert execute(run, source, witness=witness).status is RunState.SUCCESS
    assert witness.ran == ["part", "speak"]
    assert (run.folder / LETTERS.path).read_bytes() == b'{"letters":["x","y"]}\n'
    assert verify(run, PLAN).status is RunState.SUCCESS


def test_adopting_what_is_recorded_already_changes_nothing(tmp_path: Path, source: Path) -> None:
    run = finished(tmp_path, source)
    before = run.refold(None)
    assert take(run, "part") == before


@pytest.mark.parametrize(
    "contents", [b"", b"{}\n", b'{"ordinal":1,"span_start_ms":0,"span_end_ms":1,"payload":{}}\n']
)
def test_files_that_break_their_contract_are_not_adopted(
    tmp_path: Path, source: Path, contents: bytes
) -> None:
    run = finished(tmp_path, source)
    (run.folder / SCENES.path).write_bytes(contents)
    records = sorted((run.folder / "commits").iterdir())
    with pytest.raises(ContractBroken, match="cannot be adopted"):
        take(run, "part")
    assert sorted((run.folder / "commits").iterdir()) == records
    assert (run.folder / SCENES.path).read_bytes() == contents
    assert not list((run.folder / "attempts").iterdir())


def test_a_file_that_is_not_there_cannot_be_adopted(tmp_path: Path, source: Path) -> None:
    run = finished(tmp_path, source)
    (run.folder / WORDS.path).unlink()
    with pytest.raises(NotFound, match="to adopt"):
        take(run, "speak")


def test_what_stands_on_a_broken_file_is_not_adopted(tmp_path: Path, source: Path) -> None:
    run = finished(tmp_path, source)
    (run.folder / LETTERS.path).write_text("{}")
    assert ReasonCode.DIGEST_MISMATCH in codes(take(run, "part"), "part")


def test_a_record_of_another_run_closes_the_gate_and_says_whose_it_is(
    tmp_path: Path, source: Path
) -> None:
    run = finished(tmp_path, source)
    other = reserve_run(tmp_path / "home", source, run_id="other")
    execute(other, source, stages=["read"])
    shutil.copy(other.folder / "commits" / "read.a1.json", run.folder / "commits")
    manifest = execute(run, source)
    assert ReasonCode.RUN_ID_MISMATCH in codes(manifest, "read")
    assert ReasonCode.RUN_ID_MISMATCH in codes(verify(run), "read")
    reasons = manifest.stages["read"].blocked
    assert reasons is not None
    assert "film/other" in str(reasons.reasons)
    assert execute(run, source, repair=True).stages["read"].attempt == 2


def test_a_folder_that_goes_by_another_runs_id_is_not_worked_in_but_can_be_verified(
    tmp_path: Path, source: Path
) -> None:
    run = finished(tmp_path, source)
    copy = FolderRun(Path(shutil.copytree(run.folder, tmp_path / "copy")))
    assert verify(copy).status is RunState.SUCCESS
    assert codes(execute(copy, source, force=True), "read") == {ReasonCode.RUN_ID_MISMATCH}


def test_verify_full_reads_every_file_at_every_gate(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = finished(tmp_path, source)
    for path in artifact_bytes(run):
        os.utime(run.folder / path, ns=(0, 0))
    monkeypatch.setattr(run_directory, "CLOCK_TICK_NS", 0)
    read: dict[bool, int] = {}
    for trust in (True, False):
        counted = _Counting()
        monkeypatch.setattr(run_directory, "read_facts", counted)
        execute(FolderRun(run.folder, trust_times=trust), source)
        read[trust] = counted.calls
    assert read[True] == 3
    assert read[False] > read[True]


class _Counting:
    """Reads files, and counts how many."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, path: Path) -> object:
        self.calls += 1
        return read_facts(path)
