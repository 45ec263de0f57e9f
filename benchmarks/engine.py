"""The overhead of the engine, compared with bare functions that write as safely.

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

from filmgate.core.digest import canonical_json, digest
from filmgate.core.files import document
from filmgate.core.ids import RunId
from filmgate.core.payloads.built_in import BUILT_IN
from filmgate.core.plan import Done, Outcome, Plan, Producer, Settings, Stage, stage
from filmgate.core.ports import StageContext
from filmgate.core.progress import NullObserver
from filmgate.core.records import Asset, RunHead
from filmgate.engine.inputs import read_inputs
from filmgate.engine.invocation import Invocation, Request
from filmgate.engine.runner import execute
from filmgate.store.home import Home
from filmgate.wiring.clock import utc_now
from page_sections import write_section

STAGES = 6
ROUNDS = 25


class Numbers(BaseModel):
    """A small document."""

    numbers: list[int]


def make_stage(index: int) -> Stage:
    """Make stage `index`, which reads the document of the previous stage and writes its own."""
    output = document(f"n{index}.json", Numbers, schema="bench.numbers")
    previous = document(f"n{index - 1}.json", Numbers, schema="bench.numbers")

    def work(context: StageContext, settings: Settings) -> Outcome:
        numbers = context.read_document(previous, Numbers).numbers if index else list(range(200))
        context.write_document(output, Numbers(numbers=[n + 1 for n in numbers]))
        return Done(producer=Producer(name="bench", version="1"))

    work.__name__ = f"s{index}"
    return stage(makes=[output], requires=[f"s{index - 1}"] if index else [])(work)


PLAN = Plan(pipeline="bench", stages=tuple(make_stage(index) for index in range(STAGES)))


def run_bare(folder: Path) -> None:
    """Do the same work without the engine: each file is written atomically and flushed, without
    digest, gate, record or lease."""
    folder.mkdir()
    for index in range(STAGES):
        if index:
            numbers = Numbers.model_validate_json((folder / f"n{index - 1}.json").read_bytes())
        else:
            numbers = Numbers(numbers=list(range(200)))
        output = Numbers(numbers=[n + 1 for n in numbers.numbers])
        data = canonical_json(output.model_dump(mode="json")) + b"\n"
        draft = folder / f".n{index}.json"
        with draft.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(folder / f"n{index}.json")
        descriptor = os.open(folder, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)


def start_run(home: Path, source: Path, run_id: str) -> Callable[[], None]:
    """Create a run, and return a function that executes the plan on it."""
    config = PLAN.config({})
    name, sha = source.name, digest(source.read_bytes())

    def head(run_id: RunId) -> RunHead:
        return RunHead.of(
            PLAN,
            producer="bench",
            asset=Asset(id="a", input_hash=sha, uri="file:///s", size_bytes=1, media={}),
            source_sha_map={name: sha},
            run_id=run_id,
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
                observer=NullObserver(),
                clock=utc_now,
            )
        )

    return invoke


def flush_minimum(folder: Path) -> None:
    """Do the flushes that crash-proof stages need at least: for each stage its file and its record,
    and the folder of each."""
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


def time_ms(work: Callable[[], object]) -> float:
    """Return the milliseconds that a call takes."""
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000


PYDANTIC = "pydantic", "pydantic_core", "annotated_types", "typing_extensions", "typing_inspection"


def run_python(code: str, cache: Path) -> str:
    """Run code in a new interpreter; return its output. Bytecode is cached in `cache`, like that of
    installed packages."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    env["PYTHONPYCACHEPREFIX"] = str(cache)
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=env, capture_output=True, check=True, text=True).stdout


def pydantic_modules(cache: Path) -> str:
    """Return the modules of Pydantic and its dependencies that the engine imports, separated by
    commas."""
    names = run_python("import sys, filmgate.engine.runner; print(*sys.modules)", cache).split()
    return ", ".join(name for name in names if name.split(".")[0] in PYDANTIC)


def time_import_ms(modules: str, cache: Path) -> float:
    """Return the milliseconds of importing modules in a new interpreter."""
    code = f"import time; t = time.perf_counter(); import {modules}; print(time.perf_counter() - t)"
    return float(run_python(code, cache)) * 1000


def time_creation_ms(folder: Path) -> float:
    """Return the milliseconds of creating an empty file. On some file systems it takes long if many
    files were removed in the last minutes; then everything that creates files is slower."""
    folder.mkdir()
    files = [folder / str(number) for number in range(20)]

    def create() -> None:
        for file in files:
            file.touch()

    return time_ms(create) / len(files)


def skip_flush(descriptor: int) -> None:
    """Replaces `os.fsync`."""


Figures = dict[str, list[float]]
"""Name of a measurement → milliseconds of each round."""


def measure(root: Path) -> Figures:
    """Measure everything, alternating within each round."""
    figures: Figures = defaultdict(list)
    cache = root / "bytecode"
    modules = pydantic_modules(cache)
    source = root / "source"
    source.write_text("x")
    start_run(root / "home", source, "warm")()

    def measure_run(suffix: str, run_id: str) -> Callable[[], None]:
        figures[f"bare{suffix}"].append(time_ms(partial(run_bare, root / f"bare{run_id}")))
        started = time.perf_counter()
        invoke = start_run(root / "home", source, run_id)
        figures[f"start{suffix}"].append((time.perf_counter() - started) * 1000)
        figures[f"gated{suffix}"].append(time_ms(invoke))
        return invoke

    for index in range(ROUNDS):
        figures["again"].append(time_ms(measure_run("", f"run{index}")))
        figures["floor"].append(time_ms(partial(flush_minimum, root / f"floor{index}")))
        with mock.patch("os.fsync", new=skip_flush):
            measure_run(", unflushed", f"unflushed{index}")
        figures["creation"].append(time_creation_ms(root / f"creation{index}"))
        figures["pydantic"].append(time_import_ms(modules, cache))
        figures["engine"].append(time_import_ms("filmgate.engine.runner", cache))
        figures["first record"].append(
            time_import_ms(f"filmgate.engine.runner; {FIRST_RECORD}", cache)
        )
    return figures


FIRST_RECORD = "from filmgate.core.records import StageRecord; StageRecord.model_rebuild()"
"""Work that is done before the first record is validated."""


def report(figures: Figures) -> str:
    """Format the figures as text."""
    block = os.urandom(1 << 26)
    hash_rate = len(block) / time_ms(lambda: hashlib.sha256(block).digest()) / 1e6
    ms = {name: statistics.median(rounds) for name, rounds in figures.items()}

    def median_difference(name: str, base: str) -> float:
        """Compare within each round, because load on the machine slows down both."""
        rounds = zip(figures[name], figures[base], strict=True)
        return statistics.median(value - base_value for value, base_value in rounds)

    per_stage = median_difference("gated", "bare") / STAGES
    computed = median_difference("gated, unflushed", "bare, unflushed") / STAGES
    imported = median_difference("engine", "pydantic")
    validated = median_difference("first record", "engine")
    lines = (
        f"gate, record, lease per stage     {per_stage:8.2f} ms  (at most 1.5)",
        f"  without any flush               {computed:8.2f} ms",
        f"starting a run                    {ms['start']:8.2f} ms",
        f"six bare functions, flushed       {ms['bare']:8.2f} ms",
        f"six stages, gated                 {ms['gated']:8.2f} ms  "
        f"({ms['gated'] / ms['bare']:.1f} x)",
        f"  lower bound of the flushes      {ms['floor']:8.2f} ms  "
        f"({ms['gated'] / ms['floor']:.1f} x)",
        f"six stages, verified and reused   {ms['again']:8.2f} ms  (at most 30)",
        f"importing Pydantic (used part)    {ms['pydantic']:8.2f} ms",
        f"importing the rest of the engine  {imported:8.2f} ms  (at most 30)",
        f"validating the first record       {validated:8.2f} ms",
        f"making an empty file              {ms['creation']:8.2f} ms  on this file system, now",
        f"sha256 on this machine            {hash_rate:8.2f} GB/s, the limit of verifying",
    )
    return "\n".join(lines)


def section(text: str) -> str:
    """Return the section of the page."""
    return f"""
# The engine

*Written by `python benchmarks/engine.py --write`.* {datetime.now(UTC):%Y-%m-%d}, Python
{platform.python_version()}, {os.cpu_count()} CPUs, {platform.system()}. Six stages that each read
and write a small document are compared with bare functions that write theirs as safely (a draft,
flushed, renamed, its folder flushed). Figures are medians of {ROUNDS} alternating rounds. Modules
are imported in new interpreters with cached bytecode.

```text
{text}
```
"""


def main() -> None:
    """Measure, print the figures, and write the section of the page if requested."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--write", action="store_true", help="write docs/explanation/benchmarks.md")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        text = report(measure(Path(name)))
    print(text)
    if options.write:
        write_section("engine", section(text))


if __name__ == "__main__":
    main()
