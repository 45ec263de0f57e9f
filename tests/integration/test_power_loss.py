"""Power loss at any time: no acknowledged success is lost, and no wrong byte is accepted."""

import json
import os
import shutil
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import pytest

from filmgate.core.plan import Done, Outcome, Plan, stage
from filmgate.core.ports import Lease, StageContext
from filmgate.core.records import StageRecord
from filmgate.core.states import RunState, StageState
from filmgate.engine.verification import verify
from filmgate.store.lease import INFO_NAME
from filmgate.store.run_directory import ATTEMPTS, LOGS, FolderRun
from support.power import Names, Recording, State
from support.recorder import Acknowledge, record_operations, write_tree
from support.runs import (
    LETTERS,
    PLAN,
    PRODUCER,
    Letters,
    LetterSettings,
    RecordingObserver,
    artifact_bytes,
    execute,
    reserve_run,
)

WORKERS = 2
RUN_ID = "mine"
RESERVED, ENDED = "reserved", "ended"
"""Names that are acknowledged besides those of records."""


@stage(makes=[LETTERS], settings=LetterSettings)
def read(context: StageContext, settings: LetterSettings) -> Outcome:
    """Read the letters of the source, and one letter that is not part of the fingerprint.

    Another attempt may therefore make other bytes.
    """
    letter = context.source.with_name("letter").read_text()
    context.write_document(LETTERS, Letters(letters=[*context.source.read_text(), letter]))
    return Done(producer=PRODUCER)


UNSTABLE_PLAN = Plan(pipeline=PLAN.pipeline, stages=(read, *PLAN.stages[1:]))


class AcknowledgingRun(FolderRun):
    """A run that acknowledges every success after its commit has returned."""

    def __init__(self, folder: Path, acknowledge: Acknowledge) -> None:
        super().__init__(folder)
        self._acknowledge = acknowledge

    def commit(self, lease: Lease, record: StageRecord) -> None:
        super().commit(lease, record)
        if record.status is StageState.SUCCESS:
            self._acknowledge(record.name)


@dataclass(frozen=True)
class Scenario:
    """An invocation during which the power is lost."""

    title: str
    source: Path
    recording: Recording
    expected: tuple[dict[str, bytes], ...]
    """Contents of the artifact files that are correct in the end."""
    before: frozenset[str] = frozenset()
    """Records of successes that were acknowledged before the invocation."""
    repair: bool = False
    has_torn_renames: bool = False
    """Whether the disk may lose one half of a rename."""

    def torn(self) -> "Scenario":
        return replace(self, recording=self.recording.torn(), has_torn_renames=True)


@dataclass(frozen=True)
class Result:
    """Result of resuming from one state."""

    description: str
    error: str = ""
    was_blocked: bool = False


def run_folder(home: Path) -> Path:
    return home / "manifests" / "film" / "runs" / RUN_ID


def invoke(
    source: Path, home: Path, acknowledge: Acknowledge, *, force: bool = False, repair: bool = False
) -> None:
    """Execute the run, and reserve it first if it does not exist. This is recorded."""
    if not run_folder(home).exists():
        reserve_run(home, source, plan=UNSTABLE_PLAN, run_id=RUN_ID)
        acknowledge(RESERVED)
    run = AcknowledgingRun(run_folder(home), acknowledge)
    execute(run, source, plan=UNSTABLE_PLAN, force=force, repair=repair)
    acknowledge(ENDED)


def successes(records: Iterable[StageRecord]) -> frozenset[str]:
    """File names of the successful records."""
    return frozenset(r.name for r in records if r.status is StageState.SUCCESS)


def successes_at(home: Path) -> frozenset[str]:
    return successes(FolderRun(run_folder(home)).ledger().records)


def make_source(folder: Path) -> Path:
    """Make an input of the unstable plan."""
    folder.mkdir()
    (folder / "letter").write_text("x")
    (folder / "source.txt").write_text("abc")
    return folder / "source.txt"


def run_undisturbed(source: Path, home: Path) -> dict[str, bytes]:
    """Execute a run without a power loss; return its artifact files."""
    invoke(source, home, lambda name: None)
    return artifact_bytes(FolderRun(run_folder(home)))


def scenarios(folder: Path) -> Iterator[Scenario]:
    source = make_source(folder / "source")
    expected = (run_undisturbed(source, folder / "expected"),)
    (folder / "first").mkdir()
    first = record_operations(folder / "first", partial(invoke, source))
    yield Scenario("a first run", source, first, expected)
    for name in ("part.a1.scenes.jsonl", "speak.a1.json"):
        yield resume_after_kill(folder / name, source, first, name, expected)
    yield force_other_bytes(folder / "forced")
    yield repair_blocked(folder / "repaired", source, expected)


def resume_after_kill(
    home: Path, source: Path, first: Recording, name: str, expected: tuple[dict[str, bytes], ...]
) -> Scenario:
    """Resume a run that was killed directly after a name was created."""
    created = (op.changes[0][1] if isinstance(op, Names) else None for op in first.ops)
    crash = list(created).index(name) + 1
    write_tree(home, first.tree(crash, {}))
    before = successes_at(home)
    recording = record_operations(home, partial(invoke, source))
    return Scenario(f"a run killed after {name} is resumed", source, recording, expected, before)


def force_other_bytes(folder: Path) -> Scenario:
    """Force all stages, of which the first makes other bytes."""
    folder.mkdir()
    source, home = make_source(folder / "source"), folder / "home"
    old = run_undisturbed(source, home)
    source.with_name("letter").write_text("y")
    new = run_undisturbed(source, folder / "new")
    before = successes_at(home)
    recording = record_operations(home, partial(invoke, source, force=True))
    return Scenario("a forced run makes other bytes", source, recording, (old, new), before)


def repair_blocked(home: Path, source: Path, expected: tuple[dict[str, bytes], ...]) -> Scenario:
    """Repair a run that was blocked."""
    run_undisturbed(source, home)
    (run_folder(home) / LETTERS.path).unlink()
    invoke(source, home, lambda name: None)
    before = successes_at(home)
    recording = record_operations(home, partial(invoke, source, repair=True))
    return Scenario("a blocked run is repaired", source, recording, expected, before, repair=True)


def check_state(scenario: Scenario, home: Path, state: State) -> Result:
    """Run the same command again on the state after a power loss."""
    title = f"{scenario.title}, power lost after {state.crash} operations, left: {state.left}"
    write_tree(home, state.tree)
    try:
        return Result(title, was_blocked=resume_and_check(scenario, home, state))
    except Exception as error:  # noqa: BLE001 - all states are checked before any is reported
        return Result(title, f"{type(error).__name__}: {error}")
    finally:
        shutil.rmtree(home)


def resume_and_check(scenario: Scenario, home: Path, state: State) -> bool:
    """Assert that the run is correct in the end; return whether a repair was needed."""
    if RESERVED not in state.acknowledged and not run_folder(home).exists():
        reserve_run(home, scenario.source, plan=UNSTABLE_PLAN, run_id=RUN_ID)
    run, observer = FolderRun(run_folder(home)), RecordingObserver()
    found = run.ledger().records
    acknowledged = state.acknowledged - {RESERVED, ENDED}
    assert successes(found) >= scenario.before | acknowledged, "an acknowledged success is lost"
    last_epoch = max((record.epoch for record in found), default=0)
    if ENDED in state.acknowledged and not scenario.has_torn_renames:
        assert_correct(scenario, home)
    run_again = partial(execute, run, scenario.source, plan=UNSTABLE_PLAN, observer=observer)
    is_blocked = run_again(repair=scenario.repair).status is not RunState.SUCCESS
    assert json.loads((run.folder / INFO_NAME).read_bytes())["epoch"] > last_epoch
    if is_blocked:
        assert run_again(repair=True).status is RunState.SUCCESS
    assert_correct(scenario, home)
    assert not list((run.folder / ATTEMPTS).iterdir())
    again = {name.partition(".")[0] for name in acknowledged} & set(observer.ran)
    may_run_again = scenario.has_torn_renames and (is_blocked or scenario.repair)
    assert may_run_again or not again, "an acknowledged success ran again"
    return is_blocked


def assert_correct(scenario: Scenario, home: Path) -> None:
    """Assert that a reader finds the expected bytes."""
    run = FolderRun(run_folder(home))
    assert artifact_bytes(run) in scenario.expected
    assert verify(run).status is RunState.SUCCESS


def disable_fsync() -> None:
    """Replace fsync: this machine does not lose power."""
    setattr(os, "fsync", lambda descriptor: None)  # noqa: B010 - only in a worker process


def check_states(folder: Path, scenarios: Iterable[Scenario], *, every: int) -> list[Result]:
    """Check each nth possible state of all scenarios. Differences in logs do not count."""
    with ProcessPoolExecutor(WORKERS, get_context("fork"), disable_fsync) as workers:
        futures = [
            workers.submit(check_state, scenario, folder / f"{scenario.title} {number}", state)
            for scenario in scenarios
            for number, state in enumerate(scenario.recording.states(aside=LOGS, every=every))
        ]
        return [future.result() for future in futures]


def assert_all_recover(results: list[Result], *, may_block: bool = False) -> None:
    blocked = [result.description for result in results if result.was_blocked]
    print(f"{len(results)} states, {len(blocked)} of them blocked until repaired")  # noqa: T201
    errors = [f"{result.description}: {result.error}" for result in results if result.error]
    assert errors == []
    assert may_block or blocked == []


def test_power_loss_at_some_moments_loses_no_success_and_accepts_no_wrong_byte(
    in_memory: Path,
) -> None:
    assert_all_recover(check_states(in_memory, scenarios(in_memory), every=113))


@pytest.mark.proof
def test_power_loss_at_any_moment_loses_no_success_and_accepts_no_wrong_byte(
    in_memory: Path,
) -> None:
    assert_all_recover(check_states(in_memory, scenarios(in_memory), every=1))


@pytest.mark.parametrize(
    "every",
    [pytest.param(13, marks=pytest.mark.proof), pytest.param(1, marks=pytest.mark.nightly)],
)
def test_a_file_lost_by_a_torn_rename_is_reported_and_repair_makes_it_again(
    in_memory: Path, every: int
) -> None:
    torn = [scenario.torn() for scenario in scenarios(in_memory)]
    results = check_states(in_memory, torn, every=every)
    assert any(result.was_blocked for result in results)
    assert_all_recover(results, may_block=True)
