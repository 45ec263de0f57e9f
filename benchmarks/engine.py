"""What the engine costs over bare functions that write as safely, both sides in one go.

Run: python benchmarks/engine.py [--write]
"""

import argparse
import hashlib
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from unittest import mock

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
from written import write_section

STAGES = 6
ROUNDS = 25


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


def told(code: str, cache: Path) -> str:
    """What a fresh interpreter prints. Its bytecode is cached, as that of installed packages is."""
    env = {name: held for name, held in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    env["PYTHONPYCACHEPREFIX"] = str(cache)
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=env, capture_output=True, check=True, text=True).stdout


def pydantic_modules(cache: Path) -> str:
    """The modules of Pydantic and of what it stands on that the engine loads, by comma."""
    names = told("import sys, filmgate.engine.runner; print(*sys.modules)", cache).split()
    return ", ".join(name for name in names if name.split(".")[0] in PYDANTIC)


def importing(modules: str, cache: Path) -> float:
    """Milliseconds of importing modules in a fresh interpreter."""
    code = f"import time; t = time.perf_counter(); import {modules}; print(time.perf_counter() - t)"
    return float(told(code, cache)) * 1000


def creation(folder: Path) -> float:
    """Milliseconds of making an empty file: much on some file systems where many files were
    removed in the last minutes, and then all that makes files takes longer."""
    folder.mkdir()
    files = [folder / str(number) for number in range(20)]

    def make() -> None:
        for file in files:
            file.touch()

    return timed(make) / len(files)


def no_flush(descriptor: int) -> None:
    """In the place of `os.fsync`."""


Figures = dict[str, list[float]]
"""Milliseconds of each round, by what was measured."""


def measured(root: Path) -> Figures:
    """Everything, in turn."""
    figures: Figures = defaultdict(list)
    cache = root / "bytecode"
    its_own = pydantic_modules(cache)
    source = root / "source"
    source.write_text("x")
    gated(root / "home", source, "warm")()

    def once(name: str, run_id: str) -> Callable[[], None]:
        figures[f"bare{name}"].append(timed(partial(bare, root / f"bare{run_id}")))
        began = time.perf_counter()
        invoke = gated(root / "home", source, run_id)
        figures[f"begun{name}"].append((time.perf_counter() - began) * 1000)
        figures[f"gated{name}"].append(timed(invoke))
        return invoke

    for index in range(ROUNDS):
        figures["again"].append(timed(once("", f"run{index}")))
        figures["floor"].append(timed(partial(flushes, root / f"floor{index}")))
        with mock.patch("os.fsync", new=no_flush):
            once(", unflushed", f"unflushed{index}")
        figures["creation"].append(creation(root / f"creation{index}"))
        figures["pydantic"].append(importing(its_own, cache))
        figures["engine"].append(importing("filmgate.engine.runner", cache))
        figures["first record"].append(importing(f"filmgate.engine.runner; {FIRST_RECORD}", cache))
    return figures


FIRST_RECORD = "from filmgate.core.records import StageRecord; StageRecord.model_rebuild()"
"""What the first record that is validated has to wait for."""


def report(figures: Figures) -> str:
    """The figures in words."""
    block = os.urandom(1 << 26)
    hash_rate = len(block) / timed(lambda: hashlib.sha256(block).digest()) / 1e6
    ms = {name: statistics.median(rounds) for name, rounds in figures.items()}

    def above(name: str, base: str) -> float:
        """Of each round, since what slows the machine down slows both."""
        rounds = zip(figures[name], figures[base], strict=True)
        return statistics.median(held - less for held, less in rounds)

    a_stage = above("gated", "bare") / STAGES
    computed = above("gated, unflushed", "bare, unflushed") / STAGES
    imported = above("engine", "pydantic")
    validated = above("first record", "engine")
    lines = (
        f"gate, record and lease a stage    {a_stage:8.2f} ms  (at most 1.5)",
        f"  were nothing flushed            {computed:8.2f} ms",
        f"beginning a run                   {ms['begun']:8.2f} ms",
        f"six stages, bare and flushed      {ms['bare']:8.2f} ms",
        f"six stages, gated                 {ms['gated']:8.2f} ms  "
        f"({ms['gated'] / ms['bare']:.1f} x)",
        f"  of which flushes cannot be less {ms['floor']:8.2f} ms  "
        f"({ms['gated'] / ms['floor']:.1f} x)",
        f"six stages, verified and reused   {ms['again']:8.2f} ms  (at most 30)",
        f"importing Pydantic, as is needed  {ms['pydantic']:8.2f} ms",
        f"importing the engine above that   {imported:8.2f} ms  (at most 30)",
        f"and until a record is validated   {validated:8.2f} ms",
        f"making an empty file              {ms['creation']:8.2f} ms  on this file system, now",
        f"sha256 on this machine            {hash_rate:8.2f} GB/s, what verifying is bound by",
    )
    return "\n".join(lines)


def page(text: str) -> str:
    """The section of the benchmarks' page."""
    return f"""
# The engine

*Written by `python benchmarks/engine.py --write`.* {datetime.now(UTC):%Y-%m-%d},
Python {platform.python_version()}, {os.cpu_count()} CPUs, {platform.system()}. Six stages that each
read a small document and write one, against bare functions that write theirs as safely (a draft,
flushed, renamed, its folder flushed), {ROUNDS} times in turn; medians. Modules are imported in
fresh interpreters, their bytecode cached.

```text
{text}
```
"""


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--write", action="store_true", help="into docs/explanation/benchmarks.md")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        text = report(measured(Path(name)))
    print(text)
    if asked.write:
        write_section("engine", page(text))


if __name__ == "__main__":
    main()
