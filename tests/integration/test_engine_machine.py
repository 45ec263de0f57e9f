"""Random sequences of events on a run: no success is lost, no wrong byte is accepted."""

import os
import shutil
import tempfile
from datetime import timedelta
from multiprocessing import get_context
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from filmgate.core.digest import sha256_hex
from filmgate.core.errors import Conflict, Held
from filmgate.core.states import RunState, StageState
from filmgate.store import lease
from support.runs import MOMENT, PLAN, RecordingObserver, artifact_bytes, execute, reserve_run

FORK = get_context("fork")
PATHS = [contract.path for stage in PLAN.stages for contract in stage.makes]
CALLS = ["write", "fsync", "link", "replace", "mkdir"]


class RunMachine(RuleBasedStateMachine):
    """A run that is started, killed, altered, repaired, forced, and written to by stale runners."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.source = self.folder / "source.txt"
        self.source.write_text("abc")
        reference = reserve_run(self.folder / "reference", self.source)
        execute(reference, self.source)
        self.expected = artifact_bytes(reference)
        self.run = reserve_run(self.folder / "home", self.source)
        self.now = MOMENT
        self.acknowledged: set[tuple[str, int]] = set()

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    @property
    def damaged(self) -> set[str]:
        """Files of a stage's last success whose bytes are wrong.

        Not damaged are missing files of a stage that is due again, which contain no manual edit
        to protect, and files that a crash left in staging: the next holder moves them.
        """
        ledger, contents = self.run.ledger(), artifact_bytes(self.run)
        found = set()
        for stage in PLAN.names:
            record = ledger.last_success(stage)
            if record is None or not ledger.has_files_in_place(record):
                continue
            is_due = ledger.state(stage) is not StageState.SUCCESS
            paths = {ref.path for ref in record.artifacts}
            wrong = {path for path in paths if contents.get(path) != self.expected[path]}
            found |= wrong & contents.keys() if is_due else wrong
        return found

    @property
    def successes(self) -> set[str]:
        """Stages that need not run again."""
        ledger = self.run.ledger()
        return {name for name in PLAN.names if ledger.state(name) is StageState.SUCCESS}

    @rule(days=st.integers(-4000, 4000))
    def clock_jumps(self, days: int) -> None:
        self.now = MOMENT + timedelta(days=days)

    @rule(stages=st.sets(st.sampled_from(PLAN.names)), force=st.booleans(), jobs=st.integers(1, 3))
    def invoke(self, stages: set[str], force: bool, jobs: int) -> None:
        damaged, done, observer = self.damaged, self.successes, RecordingObserver()
        manifest = execute(
            self.run,
            self.source,
            stages=sorted(stages),
            force=force,
            jobs=jobs,
            observer=observer,
            clock=lambda: self.now,
        )
        if not force:
            assert not done & set(observer.ran), "a successful stage ran again"
        selected = stages or set(PLAN.names)
        if selected == set(PLAN.names) and not force:
            assert (manifest.status is RunState.SUCCESS) == (not damaged)

    @rule()
    def repair(self) -> None:
        assert execute(self.run, self.source, repair=True).status is RunState.SUCCESS
        assert artifact_bytes(self.run) == self.expected

    @rule(call=st.sampled_from(CALLS), nth=st.integers(1, 40), repair=st.booleans())
    def invoke_and_kill(self, call: str, nth: int, repair: bool) -> None:
        def execute_until_killed() -> None:
            real = getattr(os, call)
            remaining = nth

            def counted(*args: object, **kwargs: object) -> object:
                nonlocal remaining
                remaining -= 1
                if remaining == 0:
                    os.kill(os.getpid(), 9)
                return real(*args, **kwargs)

            setattr(os, call, counted)
            execute(self.run, self.source, repair=repair)

        child = FORK.Process(target=execute_until_killed)
        child.start()
        child.join(60)

    @rule(path=st.sampled_from(PATHS), how=st.sampled_from(["flip", "cut", "delete"]))
    def tamper(self, path: str, how: str) -> None:
        file = self.run.folder / path
        if not file.exists() or not file.stat().st_size:
            return
        data = bytearray(file.read_bytes())
        if how == "delete":
            file.unlink()
        elif how == "cut":
            file.write_bytes(data[: len(data) // 2])
        else:
            data[len(data) // 2] ^= 1
            file.write_bytes(data)

    @precondition(lambda self: self.damaged)
    @rule()
    def restore(self) -> None:
        for path in self.damaged:
            (self.run.folder / path).write_bytes(self.expected[path])

    @rule()
    def second_runner(self) -> None:
        with self.run.acquire_lease(MOMENT):
            try:
                execute(self.run, self.source)
            except Held:
                return
        raise AssertionError("two runners held one run")

    @precondition(lambda self: self.run.ledger().records)
    @rule()
    def stale_writer(self) -> None:
        """A runner that lost its lease tries to write a record."""
        record = self.run.ledger().records[-1]
        with self.run.acquire_lease(MOMENT) as stale:
            pass
        with self.run.acquire_lease(MOMENT):
            try:
                self.run.commit(stale, record)
            except (Held, Conflict):
                return
        raise AssertionError("a stale runner wrote")

    @invariant()
    def no_acknowledged_success_is_lost(self) -> None:
        records = {
            (record.stage, record.attempt)
            for record in self.run.ledger().records
            if record.status is StageState.SUCCESS
        }
        assert self.acknowledged <= records
        self.acknowledged = records

    @invariant()
    def an_attempt_has_one_record(self) -> None:
        attempts = [(record.stage, record.attempt) for record in self.run.ledger().records]
        assert len(attempts) == len(set(attempts))

    @invariant()
    def every_success_names_the_expected_bytes(self) -> None:
        expected = {path: sha256_hex(data) for path, data in self.expected.items()}
        for record in self.run.ledger().records:
            for ref in record.artifacts:
                assert ref.sha256 == expected[ref.path]

    @invariant()
    def an_intact_successful_run_runs_no_stage(self) -> None:
        if self.run.fold_manifest(None).status is RunState.SUCCESS and not self.damaged:
            observer = RecordingObserver()
            execute(self.run, self.source, observer=observer)
            assert observer.ran == []


def explore(programs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run random programs, without flushing to disk and without waiting for a held lease.

    Flushing makes a difference only for a power loss.
    """
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    monkeypatch.setattr(lease, "PROBE_WAIT_S", 0.0)
    run_state_machine_as_test(
        RunMachine,
        settings=settings(
            max_examples=programs,
            stateful_step_count=12,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_a_few_random_programs_find_no_lost_success_and_no_wrong_byte(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    explore(15, monkeypatch)


@pytest.mark.proof
def test_many_random_programs_find_no_lost_success_and_no_wrong_byte(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    explore(400, monkeypatch)


@pytest.mark.nightly
def test_five_thousand_random_programs_find_no_lost_success_and_no_wrong_byte(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    explore(5000, monkeypatch)
