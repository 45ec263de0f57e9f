"""Execute the chain with Filmgate, in the current folder; the only module that uses its API.

Run: python -m peers.filmgate_runner [--from K] [--repair]
"""

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel

from filmgate.core.digest import digest
from filmgate.core.files import document
from filmgate.core.ids import AssetId, RunId
from filmgate.core.payloads.built_in import BUILT_IN
from filmgate.core.plan import Done, Outcome, Plan, Producer, Settings, Stage, stage
from filmgate.core.ports import StageContext
from filmgate.core.records import Asset, RunHead
from filmgate.core.states import StageState
from filmgate.engine.inputs import read_inputs
from filmgate.engine.invocation import Invocation, Request
from filmgate.engine.runner import execute
from filmgate.store.home import Home
from filmgate.store.run_directory import FolderRun
from peers.workloads.chain import STEPS, add_one

ASSET = AssetId("chain")


class Numbers(BaseModel):
    """The file of a step."""

    numbers: list[int]


class PrintingObserver:
    """An observer that prints how stages end."""

    def stage_started(self, stage: str) -> None:
        """Do nothing."""

    def stage_progress(self, stage: str, done: float, total: float | None) -> None:
        """Do nothing."""

    def stage_ended(self, stage: str, state: StageState, note: str, *, reused: bool) -> None:
        """Print the stage's state."""
        print(stage, state.value, note)


def make_stage(index: int) -> Stage:
    """Make stage `index`, which reads the document of the previous stage and writes its own."""
    output = document(f"n{index}.json", Numbers, schema="bench.numbers")
    previous = document(f"n{index - 1}.json", Numbers, schema="bench.numbers")

    def work(context: StageContext, settings: Settings) -> Outcome:
        numbers = context.read_document(previous, Numbers).numbers if index else None
        context.write_document(output, Numbers(numbers=add_one(index, numbers)))
        return Done(producer=Producer(name="bench", version="1"))

    work.__name__ = f"s{index}"
    return stage(makes=[output], requires=[f"s{index - 1}"] if index else [])(work)


def now() -> datetime:
    """Return the current time."""
    return datetime.now(UTC)


def open_run(plan: Plan, source: Path) -> FolderRun:
    """Return the latest run in the current folder; create one if there is none."""
    home = Home(Path("home"))
    if runs := home.runs(ASSET):
        return runs[-1]
    sha, config = digest(source.read_bytes()), plan.config({})

    def head(run_id: RunId) -> RunHead:
        return RunHead.of(
            plan,
            producer="bench",
            asset=Asset(id=ASSET, input_hash=sha, uri="file:///s", size_bytes=1, media={}),
            source_sha_map={source.name: sha},
            run_id=run_id,
            env="bench",
            profile="balanced",
            config=config,
            created_at=now(),
        )

    return home.reserve(head, run_id=RunId("run"), now=now())


def invoke(first: int, *, repair: bool) -> int:
    """Run the stages from `first` on; return the exit code of the command line: 0 success,
    2 failed, 3 blocked."""
    plan = Plan(pipeline="bench", stages=tuple(make_stage(index) for index in range(STEPS)))
    source = Path("source")
    selected = plan.select([f"s{index}" for index in range(first, STEPS)])
    manifest = execute(
        Invocation(
            plan=plan,
            run=open_run(plan, source),
            inputs=read_inputs({source.name: source}, lambda done, total: None),
            request=Request(
                stages=selected, named=selected if first else frozenset(), repair=repair
            ),
            registry=BUILT_IN,
            observer=PrintingObserver(),
            clock=now,
        )
    )
    states = {entry.status for entry in manifest.stages.values()}
    if StageState.FAILED in states:
        return 2
    return 3 if states != {StageState.SUCCESS} else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--from", dest="first", type=int, default=0)
    parser.add_argument("--repair", action="store_true")
    options = parser.parse_args()
    sys.exit(invoke(options.first, repair=options.repair))
