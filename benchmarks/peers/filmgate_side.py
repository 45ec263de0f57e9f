"""One invocation of the chain in Filmgate, in the working folder; all that we know of its API.

Run: python -m peers.filmgate_side [--from K] [--repair]
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
from filmgate.core.ports import Bench
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
    """A step's file."""

    numbers: list[int]


class Talk:
    """An observer that says how stages end."""

    def stage_started(self, stage: str) -> None:
        """Nothing."""

    def stage_progress(self, stage: str, done: float, total: float | None) -> None:
        """Nothing."""

    def stage_ended(self, stage: str, state: StageState, note: str, *, reused: bool) -> None:
        """A line."""
        print(stage, state.value, note)


def make_stage(index: int) -> Stage:
    """Stage `index` reads what the one before made, and makes its own."""
    made = document(f"n{index}.json", Numbers, schema="bench.numbers")
    before = document(f"n{index - 1}.json", Numbers, schema="bench.numbers")

    def work(bench: Bench, settings: Settings) -> Outcome:
        numbers = bench.read_document(before, Numbers).numbers if index else None
        bench.write_document(made, Numbers(numbers=add_one(index, numbers)))
        return Done(producer=Producer(name="bench", version="1"))

    work.__name__ = f"s{index}"
    return stage(makes=[made], requires=[f"s{index - 1}"] if index else [])(work)


def now() -> datetime:
    """The clock."""
    return datetime.now(UTC)


def run_of(plan: Plan, source: Path) -> FolderRun:
    """The run in this folder, made where it is not there."""
    home = Home(Path("home"))
    if found := home.runs(ASSET):
        return found[-1]
    sha, config = digest(source.read_bytes()), plan.config({})

    def head(chosen: RunId) -> RunHead:
        return RunHead.of(
            plan,
            producer="bench",
            asset=Asset(id=ASSET, input_hash=sha, uri="file:///s", size_bytes=1, media={}),
            source_sha_map={source.name: sha},
            run_id=chosen,
            env="bench",
            profile="balanced",
            config=config,
            created_at=now(),
        )

    return home.reserve(head, run_id=RunId("run"), now=now())


def invoke(first: int, *, repair: bool) -> int:
    """Run the stages from `first` on; 0, or what the command line gives: 2 failed, 3 blocked."""
    plan = Plan(pipeline="bench", stages=tuple(make_stage(index) for index in range(STEPS)))
    source = Path("source")
    chosen = plan.select([f"s{index}" for index in range(first, STEPS)])
    manifest = execute(
        Invocation(
            plan=plan,
            run=run_of(plan, source),
            inputs=read_inputs({source.name: source}, lambda done, total: None),
            request=Request(stages=chosen, named=chosen if first else frozenset(), repair=repair),
            registry=BUILT_IN,
            observer=Talk(),
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
    asked = parser.parse_args()
    sys.exit(invoke(asked.first, repair=asked.repair))
