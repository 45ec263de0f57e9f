"""What the engine costs over bare functions that write as safely, both sides in one go.

Run: python benchmarks/engine.py
"""

import hashlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from pydantic import BaseModel

from filmgate.app.clock import utc_now
from filmgate.core.digest import canonical_json, digest
from filmgate.core.files import document
from filmgate.core.ids import RunId
from filmgate.core.payloads.built_in import BUILT_IN
from filmgate.core.plan import Done, Outcome, Plan, Producer, Settings, Stage, stage
from filmgate.core.ports import Bench
from filmgate.core.records import Asset, RunHead
from filmgate.core.states import StageState
from filmgate.engine.inputs import read_inputs
from filmgate.engine.invocation import Invocation, Request
from filmgate.engine.runner import execute
from filmgate.store.home import Home

STAGES = 6
ROUNDS = 15


class Numbers(BaseModel):
    """A small document."""

    numbers: list[int]


def make_stage(index: int) -> Stage:
    """Stage `index` reads what the one before made, and makes its own."""
    made = document(f"n{index}.json", Numbers, schema="bench.numbers")
    before = document(f"n{index - 1}.json", Numbers, schema="bench.numbers")

    def work(bench: Bench, settings: Settings) -> Outcome:
        numbers = bench.read_document(before, Numbers).numbers if index else list(range(200))
        bench.write_document(made, Numbers(numbers=[n + 1 for n in numbers]))
        return Done(producer=Producer(name="bench", version="1"))

    work.__name__ = f"s{index}"
    return stage(makes=[made], requires=[f"s{index - 1}"] if index else [])(work)


PLAN = Plan(pipeline="bench", stages=tuple(make_stage(index) for index in range(STAGES)))


class Silence:
    """An observer that does not care."""

    def stage_started(self, stage: str) -> None:
        """Nothing."""

    def stage_progress(self, stage: str, done: float, total: float | None) -> None:
        """Nothing."""

    def stage_ended(self, stage: str, state: StageState, note: str, *, reused: bool) -> None:
        """Nothing."""


def bare(folder: Path) -> None:
    """The same work, each file written atomically and flushed: no digest, gate, record or lease."""
    folder.mkdir()
    for index in range(STAGES):
        if index:
            numbers = Numbers.model_validate_json((folder / f"n{index - 1}.json").read_bytes())
        else:
            numbers = Numbers(numbers=list(range(200)))
        made = Numbers(numbers=[n + 1 for n in numbers.numbers])
        data = canonical_json(made.model_dump(mode="json")) + b"\n"
        draft = folder / f".n{index}.json"
        with draft.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(folder / f"n{index}.json")
        descriptor = os.open(folder, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)


def gated(home: Path, source: Path, run_id: str) -> Callable[[], None]:
    """One invocation of the plan on a run, made where it is not there."""
    config = PLAN.config({})
    name, sha = source.name, digest(source.read_bytes())

    def head(chosen: RunId) -> RunHead:
        return RunHead.of(
            PLAN,
            producer="bench",
            asset=Asset(id="a", input_hash=sha, uri="file:///s", size_bytes=1, media={}),
            source_sha_map={name: sha},
            run_id=chosen,
            env="bench",
            profile="balanced",
            config=config,
            created_at=utc_now(),
        )

    run = Home(home).reserve(head, run_id=RunId(run_id), now=utc_now())

    def invoke() -> None:
        execute(
            Invocation(
                plan=PLAN,
                run=run,
                inputs=read_inputs({name: source}, lambda done, total: None),
                request=Request(stages=PLAN.select(())),
                registry=BUILT_IN,
                observer=Silence(),
                clock=utc_now,
            )
        )

    return invoke


def flushes(folder: Path) -> None:
    """What a crash-proof stage cannot do without: its file, its name, its record, that name."""
    for name in ("attempts", "commits"):
        (folder / name).mkdir(parents=True)
    for index in range(STAGES):
        for name in ("attempts", "commits"):
            descriptor = os.open(folder / name / str(index), os.O_WRONLY | os.O_CREAT)
            os.write(descriptor, b"x" * 1000)
            os.fsync(descriptor)
            os.close(descriptor)
            descriptor = os.open(folder / name, os.O_RDONLY)
            os.fsync(descriptor)
            os.close(descriptor)


def timed(work: Callable[[], object]) -> float:
    """Milliseconds."""
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


PYDANTIC = "pydantic", "pydantic_core", "annotated_types", "typing_extensions", "typing_inspection"


def pydantic_modules() -> str:
    """The modules of Pydantic and of what it stands on that the engine loads, by comma."""
    code = "import sys, filmgate.engine.runner; print(*sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    return ", ".join(name for name in told.stdout.split() if name.split(".")[0] in PYDANTIC)


def importing(modules: str) -> float:
    """Milliseconds of importing modules in a fresh interpreter."""
    code = f"import time; t = time.perf_counter(); import {modules}; print(time.perf_counter() - t)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    return float(told.stdout) * 1000


def main() -> None:
    """Measure in turn, print medians and ratios."""
    plain, full, again, floor, pydantic, engine = [], [], [], [], [], []
    its_own = pydantic_modules()
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        source = root / "source"
        source.write_text("x")
        gated(root / "home", source, "warm")()
        for index in range(ROUNDS):
            plain.append(timed(partial(bare, root / f"bare{index}")))
            floor.append(timed(partial(flushes, root / f"floor{index}")))
            invoke = gated(root / "home", source, f"run{index}")
            full.append(timed(invoke))
            again.append(timed(invoke))
            pydantic.append(importing(its_own))
            engine.append(importing("filmgate.engine.runner"))
        block = os.urandom(1 << 26)
        hash_rate = len(block) / timed(lambda: hashlib.sha256(block).digest()) / 1e6
    figures = (plain, full, again, floor, pydantic, engine)
    bare_ms, gated_ms, noop_ms, floor_ms, pydantic_ms, engine_ms = map(statistics.median, figures)
    print(f"six stages, bare and flushed      {bare_ms:8.2f} ms")
    print(f"six stages, gated                 {gated_ms:8.2f} ms  ({gated_ms / bare_ms:.1f} x)")
    print(f"  of which flushes cannot be less {floor_ms:8.2f} ms  ({gated_ms / floor_ms:.1f} x)")
    print(f"gate, record and lease a stage    {(gated_ms - bare_ms) / STAGES:8.2f} ms")
    print(f"six stages, verified and reused   {noop_ms:8.2f} ms")
    print(f"importing pydantic                {pydantic_ms:8.2f} ms")
    print(f"importing the engine above that   {engine_ms - pydantic_ms:8.2f} ms")
    print(f"sha256 on this machine            {hash_rate:8.2f} GB/s, what verifying is bound by")


if __name__ == "__main__":
    main()
