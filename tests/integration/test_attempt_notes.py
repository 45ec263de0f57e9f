"""The notes of attempts: what is at work, for its runner, for who looks on, and after a crash."""

import os
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from filmgate.core.manifest import OpenAttempt
from filmgate.core.states import RunState, StageState
from filmgate.store.run_directory import FolderRun
from filmgate.store.staging import NOTES, Staging
from support.runs import MOMENT, execute, reserve_run

STAGES = ("read", "part")


def staging(run: Path) -> Staging:
    """The attempts of the run in a folder, as somebody sees them who looks for the first time."""
    return Staging(run, STAGES, MOMENT)


def attempt(stage: str, number: int) -> OpenAttempt:
    """One that began so many seconds in."""
    return OpenAttempt(
        stage=stage, attempt=number, epoch=number, started=MOMENT + timedelta(seconds=number)
    )


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["begin", "begin slowly", "drop", "tear", "look", "tidy"]),
        st.sampled_from(STAGES),
        st.integers(1, 3),
    ),
    max_size=30,
)


READ = ("read", 1)


@given(steps=STEPS)
@example(steps=[("begin slowly", *READ), ("look", *READ)])
@example(steps=[(step, *READ) for step in ("begin", "drop", "look", "tidy", "begin", "look")])
def test_whoever_looks_at_any_time_sees_what_began_and_has_not_ended(
    steps: list[tuple[str, str, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    run = tmp_path_factory.mktemp("run")
    runner, onlooker = staging(run), staging(run)
    due: dict[tuple[str, int], OpenAttempt] = {}
    for step, stage, number in steps:
        match step:
            case "begin":
                due[stage, number] = attempt(stage, number)
                runner.begin(due[stage, number])
            case "begin slowly":
                due[stage, number] = attempt(stage, number)
                size = (run / NOTES).stat().st_size if (run / NOTES).exists() else 0
                runner.begin(due[stage, number])
                whole = (run / NOTES).read_bytes()
                (run / NOTES).write_bytes(whole[: size + 20])
                onlooker.opened()
                (run / NOTES).write_bytes(whole)
            case "drop":
                due.pop((stage, number), None)
                runner.drop(stage, number)
            case "tear":
                with (run / NOTES).open("ab") as notes:
                    notes.write(b'\n{"attempt":1,"ended":tr')
            case "tidy":
                runner.tidy()
            case _:
                assert onlooker.opened() == [due[key] for key in sorted(due)]
    expected = [due[key] for key in sorted(due)]
    assert runner.opened() == onlooker.opened() == staging(run).opened() == expected


def test_a_disk_that_takes_half_a_note_opens_no_attempt(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = reserve_run(tmp_path / "home", source)
    whole = os.write
    with run.hold(MOMENT) as lease:
        with monkeypatch.context() as full:
            full.setattr(os, "write", lambda file, data: whole(file, bytes(data)[: len(data) // 2]))
            with pytest.raises(OSError, match=r"expected to append \d+ bytes, wrote \d+"):
                run.begin(lease, "read", 1, MOMENT)
        assert run.ledger().open_attempts == ()
        run.begin(lease, "part", 1, MOMENT)
        assert [opened.stage for opened in run.ledger().open_attempts] == ["part"]


def test_notes_are_gone_once_nothing_is_at_work(tmp_path: Path, source: Path) -> None:
    run = reserve_run(tmp_path / "home", source)
    with run.hold(MOMENT) as lease:
        run.begin(lease, "read", 1, MOMENT)
    assert (run.folder / NOTES).exists()
    assert execute(run, source).status is RunState.SUCCESS
    assert not (run.folder / NOTES).exists()


@pytest.mark.parametrize("left", ["read.a1", "read.a1.letters.json"])
def test_an_attempt_whose_note_was_lost_is_recorded_as_interrupted_by_what_it_left(
    tmp_path: Path, source: Path, left: str
) -> None:
    run = reserve_run(tmp_path / "home", source)
    (run.folder / "attempts" / left).write_text("{}")
    manifest = execute(run, source)
    assert manifest.stages["read"].attempt == 2
    records = FolderRun(run.folder).ledger().records
    first = next(record for record in records if record.name == "read.a1.json")
    assert first.status is StageState.FAILED
    assert first.error is not None
    assert first.error.code == "interrupted"
    assert not list((run.folder / "attempts").iterdir())
