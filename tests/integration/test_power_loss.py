"""Whenever the power goes: what was acknowledged is there, and no wrong byte is accepted."""

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
from filmgate.core.ports import Bench, Lease
from filmgate.core.records import StageRecord
from filmgate.core.states import RunState, StageState
from filmgate.engine.verification import verify
from filmgate.store.lease import INFO_NAME
from filmgate.store.run_directory import ATTEMPTS, LOGS, FolderRun
from support.power import Names, Recording, State
from support.recorder import Tell, recorded, write_tree
from support.runs import (
    LETTERS,
    ME,
    PLAN,
    Letters,
    LetterSettings,
    Witness,
    artifact_bytes,
    execute,
    reserve_run,
)

AT_A_TIME = 2
NAME = "mine"
RESERVED, ENDED = "reserved", "ended"
"""What is told beside the names of records."""


@stage(makes=[LETTERS], settings=LetterSettings)
def read(bench: Bench, settings: LetterSettings) -> Outcome:
    """The letters of the source, and one that no fingerprint knows of: another attempt may make
    other bytes."""
    letter = bench.source.with_name("letter").read_text()
    bench.write_document(LETTERS, Letters(letters=[*bench.source.read_text(), letter]))
    return Done(producer=ME)


FICKLE = Plan(pipeline=PLAN.pipeline, stages=(read, *PLAN.stages[1:]))


class TellingRun(FolderRun):
    """A run that tells of every success whose commit has returned."""

    def __init__(self, folder: Path, tell: Tell) -> None:
        super().__init__(folder)
        self._tell = tell

    def commit(self, lease: Lease, record: StageRecord) -> None:
        super().commit(lease, record)
        if record.status is StageState.SUCCESS:
            self._tell(record.name)


@dataclass(frozen=True)
class Story:
    """An invocation during which the power goes."""

    title: str
    source: Path
    recording: Recording
    rights: tuple[dict[str, bytes], ...]
    """The bytes that may be there in the end."""
    before: frozenset[str] = frozenset()
    """The successes that had been acknowledged before it."""
    repair: bool = False
    tears: bool = False
    """Whether the disk may tear a rename."""

    def torn(self) -> "Story":
        return replace(self, recording=self.recording.torn(), tears=True)


@dataclass(frozen=True)
class Judged:
    """What came of a state."""

    told: str
    complaint: str = ""
    was_blocked: bool = False


def run_at(home: Path) -> Path:
    return home / "manifests" / "film" / "runs" / NAME


def invoked(
    source: Path, home: Path, tell: Tell, *, force: bool = False, repair: bool = False
) -> None:
    """What is recorded; the run is reserved where there is none."""
    if not run_at(home).exists():
        reserve_run(home, source, plan=FICKLE, run_id=NAME)
        tell(RESERVED)
    run = TellingRun(run_at(home), tell)
    execute(run, source, plan=FICKLE, force=force, repair=repair)
    tell(ENDED)


def successes(records: Iterable[StageRecord]) -> frozenset[str]:
    """The names of the successful records."""
    return frozenset(each.name for each in records if each.status is StageState.SUCCESS)


def successes_at(home: Path) -> frozenset[str]:
    return successes(FolderRun(run_at(home)).ledger().records)


def a_source(folder: Path) -> Path:
    """An input of the fickle plan."""
    folder.mkdir()
    (folder / "letter").write_text("x")
    (folder / "source.txt").write_text("abc")
    return folder / "source.txt"


def finished(source: Path, home: Path) -> dict[str, bytes]:
    """The bytes of a run that nothing disturbs."""
    invoked(source, home, lambda word: None)
    return artifact_bytes(FolderRun(run_at(home)))


def stories(folder: Path) -> Iterator[Story]:
    source = a_source(folder / "source")
    rights = (finished(source, folder / "right"),)
    (folder / "first").mkdir()
    first = recorded(folder / "first", partial(invoked, source))
    yield Story("a first run", source, first, rights)
    for name in ("part.a1.scenes.jsonl", "speak.a1.json"):
        yield resumed(folder / name, source, first, name, rights)
    yield forced(folder / "forced")
    yield repaired(folder / "repaired", source, rights)


def resumed(
    home: Path, source: Path, first: Recording, name: str, rights: tuple[dict[str, bytes], ...]
) -> Story:
    """A run goes on that was killed just after a name had been made."""
    made = (op.changes[0][1] if isinstance(op, Names) else None for op in first.ops)
    killed = list(made).index(name) + 1
    write_tree(home, first.tree(killed, {}))
    before = successes_at(home)
    recording = recorded(home, partial(invoked, source))
    return Story(f"a run killed after {name} goes on", source, recording, rights, before)


def forced(folder: Path) -> Story:
    """A stage is made once more, with other bytes."""
    folder.mkdir()
    source, home = a_source(folder / "source"), folder / "home"
    old = finished(source, home)
    source.with_name("letter").write_text("y")
    new = finished(source, folder / "new")
    before = successes_at(home)
    recording = recorded(home, partial(invoked, source, force=True))
    return Story("a forced run makes other bytes", source, recording, (old, new), before)


def repaired(home: Path, source: Path, rights: tuple[dict[str, bytes], ...]) -> Story:
    """A run that was blocked is repaired."""
    finished(source, home)
    (run_at(home) / LETTERS.path).unlink()
    invoked(source, home, lambda word: None)
    before = successes_at(home)
    recording = recorded(home, partial(invoked, source, repair=True))
    return Story("a blocked run is repaired", source, recording, rights, before, repair=True)


def judge(story: Story, home: Path, state: State) -> Judged:
    """Wake up in a state, and run the same command again."""
    told = f"{story.title}, power lost after {state.crash} operations, left: {state.left}"
    write_tree(home, state.tree)
    try:
        return Judged(told, was_blocked=comes_through(story, home, state))
    except Exception as error:  # noqa: BLE001 - all states are judged before any is told of
        return Judged(told, f"{type(error).__name__}: {error}")
    finally:
        shutil.rmtree(home)


def comes_through(story: Story, home: Path, state: State) -> bool:
    """Assert that all is well in the end; whether it took a repair."""
    if RESERVED not in state.told and not run_at(home).exists():
        reserve_run(home, story.source, plan=FICKLE, run_id=NAME)
    run, witness = FolderRun(run_at(home)), Witness()
    found = run.ledger().records
    kept = state.told - {RESERVED, ENDED}
    assert successes(found) >= story.before | kept, "an acknowledged success is lost"
    past = max((record.epoch for record in found), default=0)
    if ENDED in state.told and not story.tears:
        assert_well(story, home)
    go = partial(execute, run, story.source, plan=FICKLE, witness=witness)
    is_blocked = go(repair=story.repair).status is not RunState.SUCCESS
    assert json.loads((run.folder / INFO_NAME).read_bytes())["epoch"] > past
    if is_blocked:
        assert go(repair=True).status is RunState.SUCCESS
    assert_well(story, home)
    assert not list((run.folder / ATTEMPTS).iterdir())
    again = {name.partition(".")[0] for name in kept} & set(witness.ran)
    is_asked = story.tears and (is_blocked or story.repair)
    assert is_asked or not again, "an acknowledged success ran again, unasked"
    return is_blocked


def assert_well(story: Story, home: Path) -> None:
    """Whoever comes to read finds the right bytes."""
    run = FolderRun(run_at(home))
    assert artifact_bytes(run) in story.rights
    assert verify(run).status is RunState.SUCCESS


def without_syncs() -> None:
    """Nobody turns this machine off."""
    setattr(os, "fsync", lambda descriptor: None)  # noqa: B010 - of a worker process alone


def judged(folder: Path, stories: Iterable[Story], *, every: int) -> list[Judged]:
    """Every so many of all losses in the stories. What the logs hold decides nothing."""
    with ProcessPoolExecutor(AT_A_TIME, get_context("fork"), without_syncs) as workers:
        asked = [
            workers.submit(judge, story, folder / f"{story.title} {number}", state)
            for story in stories
            for number, state in enumerate(story.recording.states(aside=LOGS, every=every))
        ]
        return [answer.result() for answer in asked]


def assert_all_came_through(found: list[Judged], *, may_block: bool = False) -> None:
    blocked = [each.told for each in found if each.was_blocked]
    print(f"{len(found)} states, {len(blocked)} of them blocked until repaired")  # noqa: T201
    assert [f"{each.told}: {each.complaint}" for each in found if each.complaint] == []
    assert may_block or blocked == []


def test_a_power_loss_at_some_moments_loses_no_success_and_passes_no_wrong_byte(
    in_memory: Path,
) -> None:
    assert_all_came_through(judged(in_memory, stories(in_memory), every=113))


@pytest.mark.proof
def test_a_power_loss_at_any_moment_loses_no_success_and_passes_no_wrong_byte(
    in_memory: Path,
) -> None:
    assert_all_came_through(judged(in_memory, stories(in_memory), every=1))


@pytest.mark.parametrize(
    "every",
    [pytest.param(13, marks=pytest.mark.proof), pytest.param(1, marks=pytest.mark.nightly)],
)
def test_where_the_disk_may_tear_a_rename_the_lost_file_is_told_of_and_repair_makes_it_again(
    in_memory: Path, every: int
) -> None:
    torn = [story.torn() for story in stories(in_memory)]
    found = judged(in_memory, torn, every=every)
    assert any(each.was_blocked for each in found)
    assert_all_came_through(found, may_block=True)
