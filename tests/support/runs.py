"""A small example plan, and helpers that execute it on real folders."""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from filmgate.core.digest import digest
from filmgate.core.files import artifacts, document
from filmgate.core.ids import RunId
from filmgate.core.manifest import Manifest
from filmgate.core.payloads.built_in import BUILT_IN
from filmgate.core.payloads.scene import SceneV1
from filmgate.core.payloads.transcript import TranscriptSegmentV1
from filmgate.core.plan import Done, Outcome, Plan, Producer, Settings, Skipped, stage
from filmgate.core.ports import Clock, EventSink, Executor, RunDirectory, StageContext, Timed
from filmgate.core.records import Asset, RunHead
from filmgate.core.states import RunState, StageState
from filmgate.engine.inputs import read_inputs
from filmgate.engine.invocation import Invocation, Request, in_process_executor
from filmgate.engine.runner import execute as run_plan
from filmgate.store.home import Home
from filmgate.store.run_directory import FolderRun

MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
PRODUCER = Producer(name="tests", version="1")


class Letters(BaseModel):
    """Output of the first stage."""

    letters: list[str]


class LetterSettings(Settings):
    """Settings of the first stage."""

    limit: int = 100


LETTERS = document("letters.json", Letters, schema="test.letters")
SCENES = artifacts("scenes.jsonl", "scene", min_records=1)
WORDS = artifacts("words.jsonl", "transcript.segment")


@stage(makes=[LETTERS], settings=LetterSettings)
def read(context: StageContext, settings: LetterSettings) -> Outcome:
    """Read the letters of the source."""
    text = context.source.read_text()
    if text.startswith("!"):
        raise RuntimeError("the source is invalid")
    letters = list(text)[: settings.limit]
    context.write_document(LETTERS, Letters(letters=letters))
    return Done(producer=PRODUCER, counts={"letters": len(letters)})


@stage(requires=["read"], makes=[SCENES])
def part(context: StageContext, settings: Settings) -> Outcome:
    """Make one scene per letter."""
    letters = context.read_document(LETTERS, Letters).letters
    if not letters:
        return Skipped("no letters")
    count = context.write_artifacts(SCENES, scenes_of(len(letters)))
    return Done(producer=PRODUCER, counts={"scenes": count})


@stage(requires=["read"], uses=["part"], makes=[WORDS])
def speak(context: StageContext, settings: Settings) -> Outcome:
    """Make one transcript segment per letter."""
    letters = context.read_document(LETTERS, Letters).letters
    context.write_artifacts(WORDS, segments_of(letters))
    return Done(producer=PRODUCER, counts={"segments": len(letters)})


PLAN = Plan(pipeline="letters", stages=(read, part, speak))


def scenes_of(count: int) -> Iterable[Timed]:
    """Adjoining scenes of one second each."""
    for number in range(count):
        payload = SceneV1(scene_index=number, method="cut", score=1.0, frame_number=number * 25)
        yield Timed(number * 1000, number * 1000 + 1000, payload)


def segments_of(texts: Iterable[str]) -> Iterable[Timed]:
    """One segment of 900 ms per second."""
    for number, text in enumerate(texts):
        payload = TranscriptSegmentV1(text=text, speaker=None, confidence=None, language="en")
        yield Timed(number * 1000, number * 1000 + 900, payload)


def make_head(
    source: Path,
    run_id: str,
    *,
    plan: Plan = PLAN,
    asset: str = "film",
    config: Mapping[str, Mapping[str, Any]] | None = None,
) -> RunHead:
    """Make the head of a run of the plan on one source file."""
    return RunHead.of(
        plan,
        producer="tests",
        asset=Asset(
            id=asset,
            input_hash=digest(source.read_bytes()),
            uri="file:///source",
            size_bytes=source.stat().st_size,
            media={},
        ),
        source_sha_map={source.name: digest(source.read_bytes())},
        run_id=run_id,
        env="test",
        profile="balanced",
        config=plan.config(config or {}),
        created_at=MOMENT,
    )


def reserve_run(
    home: Path,
    source: Path,
    *,
    plan: Plan = PLAN,
    asset: str = "film",
    run_id: str | None = None,
    config: Mapping[str, Mapping[str, Any]] | None = None,
) -> FolderRun:
    """Create a run directory of the plan for one source file."""
    return Home(home).reserve(
        lambda chosen: make_head(source, chosen, plan=plan, asset=asset, config=config),
        run_id=RunId(run_id) if run_id else None,
        now=MOMENT,
    )


class RecordingObserver:
    """An observer that records how each stage ended, and which stages did work."""

    def __init__(self) -> None:
        self.ended: dict[str, StageState] = {}
        self.notes: dict[str, str] = {}
        self.ran: list[str] = []

    def stage_started(self, stage: str) -> None:
        self.ran.append(stage)

    def stage_progress(self, stage: str, done: float, total: float | None) -> None:
        pass

    def stage_ended(self, stage: str, state: StageState, note: str, *, reused: bool) -> None:
        self.ended[stage] = state
        self.notes[stage] = note


def execute(
    run: RunDirectory,
    source: Path,
    *,
    plan: Plan = PLAN,
    stages: Iterable[str] = (),
    observer: RecordingObserver | None = None,
    executor: Callable[[int], Executor] = in_process_executor,
    clock: Clock = lambda: MOMENT,
    sinks: tuple[EventSink, ...] = (),
    **request: Any,
) -> Manifest:
    """Execute one invocation; return the manifest."""
    selected = tuple(stages)
    return run_plan(
        Invocation(
            plan=plan,
            run=run,
            inputs=read_inputs({source.name: source}, lambda done, total: None),
            request=Request(
                stages=plan.select(selected),
                named=plan.select(selected) if selected else frozenset(),
                **request,
            ),
            registry=BUILT_IN,
            observer=observer or RecordingObserver(),
            clock=clock,
            executor=executor,
            sinks=sinks,
        )
    )


def finished_run(tmp_path: Path, source: Path) -> FolderRun:
    """A successful run of the plan."""
    run = reserve_run(tmp_path / "home", source)
    assert execute(run, source).status is RunState.SUCCESS
    return run


def artifact_bytes(run: FolderRun, plan: Plan = PLAN) -> dict[str, bytes]:
    """Contents of every artifact file of a run, by path."""
    paths = [contract.path for stage in plan.stages for contract in stage.makes]
    return {
        path: (run.folder / path).read_bytes() for path in paths if (run.folder / path).exists()
    }
