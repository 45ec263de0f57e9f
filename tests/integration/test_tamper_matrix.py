"""The tamper matrix: whatever is done to what a stage stands on, no wrong byte is passed on."""

import os
import signal
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

import pytest
from pydantic import BaseModel

from filmgate.core.files import document
from filmgate.core.gates import ReasonCode
from filmgate.core.plan import Done, Outcome, Plan, Settings, Stage, stage
from filmgate.core.ports import Bench
from filmgate.core.states import RunState, StageState
from filmgate.store import durable
from filmgate.store.run_directory import FolderRun
from support.runs import ME, Witness, artifact_bytes, execute, reserve_run

FORK = get_context("fork")
STAGES = 4


class Numbers(BaseModel):
    """What each stage makes."""

    numbers: list[int]


FILES = [document(f"n{index}.json", Numbers, schema="test.numbers") for index in range(STAGES)]


def adding(index: int) -> Stage:
    """Each number of the stage before, plus one."""

    def work(bench: Bench, settings: Settings) -> Outcome:
        before = bench.read_document(FILES[index - 1], Numbers).numbers if index else range(200)
        bench.write_document(FILES[index], Numbers(numbers=[number + 1 for number in before]))
        return Done(producer=ME)

    work.__name__ = f"s{index}"
    return stage(makes=[FILES[index]], requires=[f"s{index - 1}"] if index else [])(work)


CHAIN = Plan(pipeline="chain", stages=tuple(adding(index) for index in range(STAGES)))


def fewer_numbers(path: Path) -> None:
    """Still a good document, but half of it is gone."""
    whole = Numbers.model_validate_json(path.read_bytes()).numbers
    path.write_text(Numbers(numbers=whole[: len(whole) // 2]).model_dump_json() + "\n")


def another_digit(path: Path) -> None:
    """Same size, same time of change."""
    stat, data = path.stat(), path.read_bytes()
    place = next(i for i, byte in enumerate(data) if byte in b"12345678")
    path.write_bytes(data[:place] + bytes([data[place] + 1]) + data[place + 1 :])
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def cut_in_half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def swapped(path: Path) -> None:
    """Another stage's file, whole in itself, under this one's name."""
    other = path.with_name("n0.json" if path.name != "n0.json" else "n1.json")
    path.unlink()
    if other.exists():
        os.link(other, path)


TAMPERING = [fewer_numbers, another_digit, cut_in_half, Path.unlink, swapped]
EDGES = range(1, STAGES)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("whole")
    (folder / "source.txt").write_text("abc")
    run = reserve_run(folder, folder / "source.txt", plan=CHAIN)
    execute(run, folder / "source.txt", plan=CHAIN)
    return artifact_bytes(run, CHAIN)


def killed_halfway(run: FolderRun, source: Path, index: int) -> None:
    """Run until stage `index` has written half of its bytes; then the process is killed."""

    def work() -> None:
        real = durable.HashingWriter.write

        def half(writer: durable.HashingWriter, data: bytes) -> None:
            writing = Path(f"/proc/self/fd/{writer._descriptor}").readlink().name
            if writing == f"s{index}.a1.n{index}.json":
                real(writer, data[: len(data) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
            real(writer, data)

        setattr(durable.HashingWriter, "write", half)  # noqa: B010 - of the child alone
        execute(run, source, plan=CHAIN)

    child = FORK.Process(target=work)
    child.start()
    child.join(30)
    assert child.exitcode == -signal.SIGKILL


def assert_refused(run: FolderRun, source: Path, upstream: int, *, only: int | None) -> None:
    before = artifact_bytes(run, CHAIN)
    witness = Witness()
    stages = [f"s{only}"] if only is not None else []
    manifest = execute(run, source, plan=CHAIN, stages=stages, witness=witness)
    asked = f"s{upstream + 1}"
    assert manifest.status is RunState.FAILED
    assert manifest.stages[asked].status is StageState.BLOCKED
    blocked = manifest.stages[asked].blocked
    assert blocked is not None
    assert blocked.reasons[0].path == f"n{upstream}.json"
    assert blocked.reasons[0].code in {ReasonCode.MISSING_ARTIFACT, ReasonCode.DIGEST_MISMATCH}
    assert witness.ran == []
    assert artifact_bytes(run, CHAIN) == before


def assert_repaired(run: FolderRun, source: Path, whole: dict[str, bytes], ran: list[str]) -> None:
    witness = Witness()
    manifest = execute(run, source, plan=CHAIN, repair=True, witness=witness)
    assert manifest.status is RunState.SUCCESS
    assert witness.ran == ran
    assert artifact_bytes(run, CHAIN) == whole


@pytest.mark.parametrize("tamper", TAMPERING)
@pytest.mark.parametrize("stage_index", EDGES)
def test_after_a_kill_halfway_what_was_tampered_with_is_refused_and_then_repaired(
    tmp_path: Path,
    source: Path,
    whole: dict[str, bytes],
    tamper: Callable[[Path], None],
    stage_index: int,
) -> None:
    run = reserve_run(tmp_path / "home", source, plan=CHAIN)
    killed_halfway(run, source, stage_index)
    tamper(run.folder / f"n{stage_index - 1}.json")
    assert_refused(run, source, stage_index - 1, only=None)
    rest = [f"s{index}" for index in range(stage_index, STAGES)]
    assert_repaired(run, source, whole, [f"s{stage_index - 1}", *rest])


@pytest.mark.parametrize("stage_index", EDGES)
def test_after_a_kill_halfway_only_the_open_stage_and_those_after_it_run(
    tmp_path: Path, source: Path, whole: dict[str, bytes], stage_index: int
) -> None:
    run = reserve_run(tmp_path / "home", source, plan=CHAIN)
    killed_halfway(run, source, stage_index)
    witness = Witness()
    assert execute(run, source, plan=CHAIN, witness=witness).status is RunState.SUCCESS
    assert witness.ran == [f"s{index}" for index in range(stage_index, STAGES)]
    assert artifact_bytes(run, CHAIN) == whole


@pytest.mark.parametrize("is_alone", [False, True])
@pytest.mark.parametrize("tamper", TAMPERING)
@pytest.mark.parametrize("stage_index", EDGES)
def test_after_a_green_run_what_was_tampered_with_is_refused_and_then_repaired(
    tmp_path: Path,
    source: Path,
    whole: dict[str, bytes],
    tamper: Callable[[Path], None],
    stage_index: int,
    is_alone: bool,
) -> None:
    run = reserve_run(tmp_path / "home", source, plan=CHAIN)
    execute(run, source, plan=CHAIN)
    tamper(run.folder / f"n{stage_index - 1}.json")
    only = stage_index if is_alone else None
    assert_refused(run, source, stage_index - 1, only=only)
    assert_repaired(run, source, whole, [f"s{stage_index - 1}"])
