"""Tampering with the files that a stage depends on: every kind is detected and repaired."""

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
from filmgate.core.ports import StageContext
from filmgate.core.states import RunState, StageState
from filmgate.store import durable
from filmgate.store.run_directory import FolderRun
from support.runs import PRODUCER, RecordingObserver, artifact_bytes, execute, reserve_run

FORK = get_context("fork")
STAGES = 4


class Numbers(BaseModel):
    """Output of each stage."""

    numbers: list[int]


FILES = [document(f"n{index}.json", Numbers, schema="test.numbers") for index in range(STAGES)]


def make_stage(index: int) -> Stage:
    """Make a stage that adds one to each number of the stage before."""

    def work(context: StageContext, settings: Settings) -> Outcome:
        before = context.read_document(FILES[index - 1], Numbers).numbers if index else range(200)
        context.write_document(FILES[index], Numbers(numbers=[number + 1 for number in before]))
        return Done(producer=PRODUCER)

    work.__name__ = f"s{index}"
    return stage(makes=[FILES[index]], requires=[f"s{index - 1}"] if index else [])(work)


CHAIN = Plan(pipeline="chain", stages=tuple(make_stage(index) for index in range(STAGES)))


def drop_numbers(path: Path) -> None:
    """Keep a valid document with half of the numbers."""
    numbers = Numbers.model_validate_json(path.read_bytes()).numbers
    path.write_text(Numbers(numbers=numbers[: len(numbers) // 2]).model_dump_json() + "\n")


def change_digit(path: Path) -> None:
    """Change one digit; keep the size and the modification time."""
    stat, data = path.stat(), path.read_bytes()
    offset = next(i for i, byte in enumerate(data) if byte in b"12345678")
    path.write_bytes(data[:offset] + bytes([data[offset] + 1]) + data[offset + 1 :])
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def cut_in_half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def swap(path: Path) -> None:
    """Replace the file by another stage's intact file."""
    other = path.with_name("n0.json" if path.name != "n0.json" else "n1.json")
    path.unlink()
    if other.exists():
        os.link(other, path)


TAMPERING = [drop_numbers, change_digit, cut_in_half, Path.unlink, swap]
EDGES = range(1, STAGES)


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("expected")
    (folder / "source.txt").write_text("abc")
    run = reserve_run(folder, folder / "source.txt", plan=CHAIN)
    execute(run, folder / "source.txt", plan=CHAIN)
    return artifact_bytes(run, CHAIN)


def kill_halfway(run: FolderRun, source: Path, index: int) -> None:
    """Execute in a child that is killed after stage `index` has written half of its bytes."""

    def work() -> None:
        real = durable.HashingWriter.write

        def write_half(writer: durable.HashingWriter, data: bytes) -> None:
            name = Path(f"/proc/self/fd/{writer._descriptor}").readlink().name
            if name == f"s{index}.a1.n{index}.json":
                real(writer, data[: len(data) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
            real(writer, data)

        setattr(durable.HashingWriter, "write", write_half)  # noqa: B010 - only in the child
        execute(run, source, plan=CHAIN)

    child = FORK.Process(target=work)
    child.start()
    child.join(30)
    assert child.exitcode == -signal.SIGKILL


def assert_refused(run: FolderRun, source: Path, upstream: int, *, only: int | None) -> None:
    before = artifact_bytes(run, CHAIN)
    observer = RecordingObserver()
    stages = [f"s{only}"] if only is not None else []
    manifest = execute(run, source, plan=CHAIN, stages=stages, observer=observer)
    stage_name = f"s{upstream + 1}"
    assert manifest.status is RunState.FAILED
    assert manifest.stages[stage_name].status is StageState.BLOCKED
    blocked = manifest.stages[stage_name].blocked
    assert blocked is not None
    assert blocked.reasons[0].path == f"n{upstream}.json"
    assert blocked.reasons[0].code in {ReasonCode.MISSING_ARTIFACT, ReasonCode.DIGEST_MISMATCH}
    assert observer.ran == []
    assert artifact_bytes(run, CHAIN) == before


def assert_repaired(
    run: FolderRun, source: Path, expected: dict[str, bytes], ran: list[str]
) -> None:
    observer = RecordingObserver()
    manifest = execute(run, source, plan=CHAIN, repair=True, observer=observer)
    assert manifest.status is RunState.SUCCESS
    assert observer.ran == ran
    assert artifact_bytes(run, CHAIN) == expected


@pytest.mark.parametrize("tamper", TAMPERING)
@pytest.mark.parametrize("stage_index", EDGES)
def test_after_a_kill_an_altered_file_is_refused_and_then_repaired(
    tmp_path: Path,
    source: Path,
    expected: dict[str, bytes],
    tamper: Callable[[Path], None],
    stage_index: int,
) -> None:
    run = reserve_run(tmp_path / "home", source, plan=CHAIN)
    kill_halfway(run, source, stage_index)
    tamper(run.folder / f"n{stage_index - 1}.json")
    assert_refused(run, source, stage_index - 1, only=None)
    rest = [f"s{index}" for index in range(stage_index, STAGES)]
    assert_repaired(run, source, expected, [f"s{stage_index - 1}", *rest])


@pytest.mark.parametrize("stage_index", EDGES)
def test_after_a_kill_only_the_interrupted_stage_and_later_ones_run(
    tmp_path: Path, source: Path, expected: dict[str, bytes], stage_index: int
) -> None:
    run = reserve_run(tmp_path / "home", source, plan=CHAIN)
    kill_halfway(run, source, stage_index)
    observer = RecordingObserver()
    assert execute(run, source, plan=CHAIN, observer=observer).status is RunState.SUCCESS
    assert observer.ran == [f"s{index}" for index in range(stage_index, STAGES)]
    assert artifact_bytes(run, CHAIN) == expected


@pytest.mark.parametrize("is_only_stage", [False, True])
@pytest.mark.parametrize("tamper", TAMPERING)
@pytest.mark.parametrize("stage_index", EDGES)
def test_after_a_successful_run_an_altered_file_is_refused_and_then_repaired(
    tmp_path: Path,
    source: Path,
    expected: dict[str, bytes],
    tamper: Callable[[Path], None],
    stage_index: int,
    is_only_stage: bool,
) -> None:
    run = reserve_run(tmp_path / "home", source, plan=CHAIN)
    execute(run, source, plan=CHAIN)
    tamper(run.folder / f"n{stage_index - 1}.json")
    only = stage_index if is_only_stage else None
    assert_refused(run, source, stage_index - 1, only=only)
    assert_repaired(run, source, expected, [f"s{stage_index - 1}"])
