"""Run a stage or a plan with the real engine on a run in memory."""

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

from pydantic import ValidationError

from filmgate.core.errors import Invalid, NotFound, first_fault
from filmgate.core.files import FileContract
from filmgate.core.ids import AssetId, RunId, StageName
from filmgate.core.objects import ObjectStore
from filmgate.core.payloads.built_in import BUILT_IN
from filmgate.core.payloads.registry import Registry
from filmgate.core.pipeline import InputFiles, Pipeline
from filmgate.core.plan import Outcome, Plan, Settings, Stage
from filmgate.core.ports import Clock, StageContext
from filmgate.core.progress import NullObserver
from filmgate.core.records import RunHead, StageConfigs
from filmgate.core.resources import Resources
from filmgate.core.run_request import DEFAULT_PROFILE
from filmgate.engine.inputs import describe_asset, read_inputs
from filmgate.engine.invocation import Invocation, Request
from filmgate.engine.runner import execute
from filmgate.store.durable import safe_join
from filmgate.testing.object_store import MemoryStores
from filmgate.testing.result import RunResult, StageResult
from filmgate.testing.run_directory import MemoryRun
from filmgate.testing.stand_ins import STAND_IN, Contents, check_stand_ins, make_stand_ins

Sources = Mapping[str, bytes | Path]
"""Input files by name, the asset first: their bytes, or the path of a file on disk."""

StageSettings = Mapping[str, Mapping[str, object]]
"""Settings by stage and name."""

EMPTY_SOURCE: Sources = MappingProxyType({"source": b""})
"""One input file without bytes, for stages that do not read their source."""


def utc_now() -> datetime:
    """Return the current time in UTC."""
    return datetime.now(UTC)


def run_stage(
    stage: Stage,
    *,
    sources: Sources = EMPTY_SOURCE,
    files: Mapping[FileContract, Contents] = MappingProxyType({}),
    skipped: Iterable[str] = (),
    settings: Settings | Mapping[str, object] = MappingProxyType({}),
    resources: Resources = MappingProxyType({}),
    stores: Mapping[str, ObjectStore] = MappingProxyType({}),
    registry: Registry = BUILT_IN,
    strict: bool = False,
    clock: Clock = utc_now,
) -> StageResult:
    """Run one stage in memory, with the contract checks of a real run.

    The stages that it depends on are replaced: they make `files`, or are skipped if they are in
    `skipped`. The other parameters:

    - `sources`: input files by name, the asset first;
    - `settings`: the stage's settings; those that are missing have their default;
    - `resources`: available resources by name;
    - `stores`: object stores that `context.open_store` opens, by address;
    - `registry`: payload contracts of artifacts;
    - `strict`: fail the stage if one of its items fails.

    Nothing is raised if the stage fails; see `StageResult`. Raises Invalid if `files` or `settings`
    are invalid, UsageError if `skipped` names a stage on which `stage` does not depend.
    """
    plan = Plan(
        pipeline="test",
        stages=(*make_stand_ins(stage, files, frozenset(skipped)), stage),
    )
    values = settings.model_dump() if isinstance(settings, Settings) else settings
    result, calls = _execute(
        Pipeline(plan=plan),
        sources,
        RunSettings(profile=DEFAULT_PROFILE, config=_resolve_config(plan, {stage.name: values})),
        Request(stages=frozenset(plan.names), strict=strict),
        Environment(resources=resources, stores=stores, registry=registry, clock=clock),
    )
    check_stand_ins(result, stage)
    return StageResult(
        run=result.run,
        manifest=result.manifest,
        exceptions=result.exceptions,
        stage=stage.name,
        outcome=calls.outcomes.get(stage.name),
    )


def run_pipeline(
    pipeline: Pipeline | Plan,
    source: Path | Sources = EMPTY_SOURCE,
    *,
    run: MemoryRun | None = None,
    profile: str = DEFAULT_PROFILE,
    settings: StageSettings = MappingProxyType({}),
    stages: Iterable[str] = (),
    force: bool = False,
    repair: bool = False,
    strict: bool = False,
    jobs: int = 1,
    resources: Resources = MappingProxyType({}),
    stores: Mapping[str, ObjectStore] = MappingProxyType({}),
    registry: Registry = BUILT_IN,
    clock: Clock = utc_now,
) -> RunResult:
    """Run the stages of a pipeline in memory.

    `source`: a path, which the pipeline's `admit` checks, or input files by name. With `run`, a
    run in memory is resumed; its settings are frozen, so that `profile` and `settings` are ignored.
    `stages`, `force`, `repair`, `strict` and `jobs` have the meaning of the options of
    `filmgate run`. For the other parameters, see `run_stage`.
    """
    described = Pipeline(plan=pipeline) if isinstance(pipeline, Plan) else pipeline
    selected = tuple(stages)
    result, _ = _execute(
        described,
        source,
        run or RunSettings(profile=profile, config=_profile_config(described, profile, settings)),
        Request(
            stages=described.plan.select(selected),
            named=described.plan.select(selected) if selected else frozenset(),
            force=force,
            repair=repair,
            strict=strict,
            jobs=jobs,
        ),
        Environment(resources=resources, stores=stores, registry=registry, clock=clock),
    )
    return result


@dataclass(frozen=True, kw_only=True)
class Environment:
    """What a run in memory has besides its input: resources, stores, contracts and time."""

    resources: Resources
    stores: Mapping[str, ObjectStore]
    registry: Registry
    clock: Clock


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """The frozen settings of a new run."""

    profile: str
    config: StageConfigs


class Calls:
    """What the functions of the stages returned or raised, by stage."""

    def __init__(self) -> None:
        self.outcomes: dict[str, Outcome] = {}
        self.exceptions: dict[str, Exception] = {}

    def observe(self, stage: Stage) -> Stage:
        """Return a copy of `stage` whose function also stores its result or exception here."""

        def work(context: StageContext, settings: Settings) -> Outcome:
            try:
                outcome = stage.work(context, settings)
            except Exception as error:
                self.exceptions[stage.name] = error
                raise
            self.outcomes[stage.name] = outcome
            return outcome

        return replace(stage, work=work)


@contextmanager
def _input_files(pipeline: Pipeline, source: Path | Sources) -> Iterator[InputFiles]:
    """Check the input of a run and yield its files; bytes are in temporary files in the block."""
    if isinstance(source, Path):
        yield pipeline.admit(source) if pipeline.admit else _admit_file(source)
        return
    if not source:
        raise Invalid("the run has no input", expected="at least one input file", got="none")
    with tempfile.TemporaryDirectory(prefix="filmgate-") as folder:
        paths = {}
        for name, contents in source.items():
            path = contents if isinstance(contents, Path) else safe_join(Path(folder), name)
            if not isinstance(contents, Path):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(contents)
            paths[name] = path
        yield InputFiles(files=paths)


def _admit_file(source: Path) -> InputFiles:
    if not source.is_file():
        raise NotFound(f"file {str(source)!r} does not exist", expected="a file", got="no file")
    return InputFiles(files={source.name: source})


def _execute(
    pipeline: Pipeline,
    source: Path | Sources,
    run: MemoryRun | RunSettings,
    request: Request,
    environment: Environment,
) -> tuple[RunResult, Calls]:
    """Execute the stages of a pipeline on an earlier run, or on a new one with these settings."""
    calls = Calls()
    plan = replace(pipeline.plan, stages=tuple(map(calls.observe, pipeline.plan.stages)))
    with _input_files(pipeline, source) as admitted:
        inputs = read_inputs(admitted.files, lambda _done, _total: None)
        if isinstance(run, RunSettings):
            run = MemoryRun(
                RunHead.of(
                    plan,
                    config=run.config,
                    producer=STAND_IN.name,
                    asset=describe_asset(
                        AssetId("asset"), "memory://source", admitted, inputs.digests
                    ),
                    source_sha_map=dict(inputs.digests),
                    run_id=RunId("run"),
                    env="test",
                    profile=run.profile,
                    created_at=environment.clock(),
                    layout=pipeline.layout,
                )
            )
        manifest = execute(
            Invocation(
                plan=plan,
                run=run,
                inputs=inputs,
                request=request,
                registry=environment.registry,
                observer=NullObserver(),
                clock=environment.clock,
                resources=environment.resources,
                open_store=MemoryStores(environment.stores),
            )
        )
    return RunResult(run=run, manifest=manifest, exceptions=calls.exceptions), calls


def _profile_config(pipeline: Pipeline, profile: str, settings: StageSettings) -> StageConfigs:
    """Resolve the settings of a profile; values in `settings` override them."""
    resolved = pipeline.resolve(profile)
    names = {pipeline.plan.find_stage(name).name: values for name, values in settings.items()}
    return _resolve_config(
        pipeline.plan,
        {name: {**values, **names.get(StageName(name), {})} for name, values in resolved.items()},
    )


def _resolve_config(plan: Plan, settings: StageSettings) -> StageConfigs:
    try:
        return plan.config(settings)
    except ValidationError as error:
        raise Invalid("setting is invalid", got=first_fault(error)) from error
