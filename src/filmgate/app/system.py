"""The System: what the product can do, wired from its parts. Every face calls this."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filmgate.app import exports, pipelines
from filmgate.app.executors import executor_of
from filmgate.app.run_choice import Given, RunChoice, admit, check_plan
from filmgate.app.run_options import RunOptions, RunReport, concerned
from filmgate.app.run_status import RunStatus
from filmgate.app.settings import Settings
from filmgate.core.answers import FindAnswer, JumpAnswer, Receipt
from filmgate.core.errors import FilmgateError, Invalid, NotFound, Unavailable
from filmgate.core.forecast import Forecast
from filmgate.core.ids import parse_asset_id
from filmgate.core.legacy import LegacyRun
from filmgate.core.manifest import Manifest
from filmgate.core.payloads.registry import BUILT_IN
from filmgate.core.ports import EventSink, Observer, ResultStore
from filmgate.core.questions import Direction, JumpKind
from filmgate.core.states import RunState
from filmgate.engine.adoption import adopt
from filmgate.engine.invocation import Invocation
from filmgate.engine.planning import foresee, foresee_new
from filmgate.engine.runner import execute
from filmgate.engine.verification import verify
from filmgate.store.event_log import read_events
from filmgate.store.home import Home
from filmgate.store.legacy import legacy_runs
from filmgate.store.run_directory import FolderRun

if TYPE_CHECKING:
    from filmgate.db.embedded import EmbeddedPostgres


def utc_now() -> datetime:
    """The clock of the real world."""
    return datetime.now(UTC)


class System:
    """Filmgate on one home and one database."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._home = Home(settings.home.expanduser())

    @cached_property
    def _log(self) -> Any:
        import structlog  # slow, and not every command logs

        return structlog.get_logger()

    def run(
        self,
        name: str,
        source: Path,
        options: RunOptions,
        observer: Observer,
        hashed: Callable[[float, float], None],
        sinks: tuple[EventSink, ...] = (),
    ) -> RunReport:
        """Run a pipeline on an input: resume the run that is meant, or begin one.

        A database that is away does not fail the run; the report says so.
        """
        pipeline = pipelines.load(name)
        request = options.request(pipeline.plan)
        sinks = (*sinks, *exports.sinks(self._settings.export))
        given = admit(pipeline, source, options, hashed)
        choice = self._choice(given, options)
        run = choice.find_or_reserve()
        asset = run.head.asset.id
        notes = []
        if others := choice.other_inputs():
            notes.append(
                f"asset {asset} has runs on another input ({', '.join(others)}); "
                "if this is no new cut of the same, give it an --asset-id of its own"
            )
        self._log.info("run.started", asset=asset, run=run.head.run_id)
        manifest = execute(
            Invocation(
                plan=pipeline.plan,
                run=run,
                inputs=given.inputs,
                request=request,
                registry=BUILT_IN,
                observer=observer,
                clock=utc_now,
                executor=partial(executor_of, options),
                sinks=sinks,
                is_detailed=options.is_detailed,
            )
        )
        self._log.info("run.ended", run=manifest.run_id, status=manifest.status.value)
        receipt, why_not = self._ingest_after(run, manifest, options)
        if why_not:
            notes.append(f"not ingested: {why_not}")
        return RunReport(
            manifest=manifest,
            folder=run.folder,
            concerned=concerned(pipeline.plan, request.stages),
            receipt=receipt,
            notes=tuple(notes),
        )

    def plan(
        self,
        name: str,
        source: Path,
        options: RunOptions,
        hashed: Callable[[float, float], None],
    ) -> Forecast:
        """What `run` would do if it were asked now; nothing is run or written."""
        pipeline = pipelines.load(name)
        request = options.request(pipeline.plan)
        given = admit(pipeline, source, options, hashed)
        run = self._choice(given, options).find()
        if run is None:
            stages = foresee_new(pipeline.plan, request, given.config)
        else:
            stages = foresee(pipeline.plan, run, given.inputs, request, BUILT_IN)
        return Forecast(
            pipeline=name,
            asset_id=given.asset_id,
            run_id=run.head.run_id if run else None,
            stages=stages,
        )

    def adopt(self, stage: str, reference: str) -> RunReport:
        """Take a stage's files, mended by hand in the run's folder, for its result."""
        run = self._home.find(reference)
        plan = pipelines.load(run.head.pipeline).plan
        check_plan(run.head, plan)
        adopted = plan.named(stage)
        sinks = exports.sinks(self._settings.export)
        manifest = adopt(
            plan=plan, run=run, stage=adopted, registry=BUILT_IN, clock=utc_now, sinks=sinks
        )
        return RunReport(manifest=manifest, folder=run.folder, concerned=frozenset({adopted.name}))

    def _choice(self, given: Given, options: RunOptions) -> RunChoice:
        return RunChoice(
            self._home,
            given,
            options,
            producer=self._settings.producer,
            env=self._settings.env,
            now=utc_now(),
        )

    def legacy_runs(self) -> list[LegacyRun]:
        """Runs that only an older layout tells of; hearsay, labelled so."""
        from filmgate.pipelines.episode.plan import FORMER_NAMES  # heavy, and rarely needed

        return list(legacy_runs(self._home.root, FORMER_NAMES))

    def legacy_run(self, reference: str) -> LegacyRun | None:
        """The legacy run called `asset/run`, or the asset's; None where there is none."""
        asset, _, run = reference.partition("/")
        found = [each for each in self.legacy_runs() if each.asset_id == asset]
        named = [each for each in found if (each.run_id or "") == run]
        return next(iter(named or ([] if run else found[-1:])), None)

    def runs(self) -> tuple[list[Manifest], list[str]]:
        """How every run stands, oldest first, and what is wrong with those that cannot be read."""
        stand, faults = (
            [],
            [f"{folder}/run.json cannot be read" for folder in self._home.unreadable()],
        )
        for run in self._home.runs():
            try:
                stand.append(run.refold(None))
            except Invalid as error:
                faults.append(f"{run.folder}: {error}")
        return stand, faults

    def status(self, reference: str) -> RunStatus:
        """How a run stands, derived anew from its records, and what its runner said last."""
        run = self._home.find(reference)
        return RunStatus.of(run, utc_now())

    def verify(self, reference: str) -> tuple[Path, Manifest]:
        """A run's folder, and how it stands with every byte of its files read again.

        Where the pipeline is not installed here, altered files are named but not looked into.
        """
        run = self._home.find(reference)
        try:
            plan = pipelines.load(run.head.pipeline).plan
        except FilmgateError:
            plan = None
        return run.folder, verify(run, plan, BUILT_IN)

    def rebuild_manifest(self, reference: str) -> tuple[Path, Manifest]:
        """Write a run's manifest again from its records; the run's folder, and the manifest."""
        run = self._home.find(reference)
        with run.hold(utc_now()) as lease:
            return run.folder, run.close(lease)

    def logs(self, reference: str, stage: str | None, *, follow: bool) -> Iterator[str]:
        """The events of a run (of one stage) in order of time; `follow` goes on to its end."""
        run = self._home.find(reference)
        if stage is not None and stage not in run.head.stages:
            raise NotFound(
                f"no stage {stage!r} in this run",
                expected=f"one of {', '.join(run.head.stages)}",
            )
        return read_events(run, [stage] if stage else run.head.stages, follow=follow)

    def ingest(self, reference: str) -> Receipt:
        """Take a run into the database; the same again changes nothing."""
        return self._ingest(self._home.find(reference))

    def find(
        self, asset: str, query: str, *, direction: Direction, from_ms: int | None, limit: int
    ) -> FindAnswer:
        """What was said in a video that matches, in order of time."""
        asset_id = parse_asset_id(asset)
        with self.results() as results:
            return results.find(asset_id, query, direction=direction, from_ms=from_ms, limit=limit)

    def jump(self, asset: str, kind: JumpKind, *, direction: Direction, from_ms: int) -> JumpAnswer:
        """The next or previous thing of a kind in a video."""
        asset_id = parse_asset_id(asset)
        with self.results() as results:
            return results.jump(asset_id, kind, direction, from_ms)

    def start_database(self) -> str:
        """Start the embedded database and let it outlive its users; its URL."""
        return self._embedded().keep()

    def stop_database(self) -> bool:
        """Stop the embedded database; False where it was not running."""
        return self._embedded().stop()

    def database_url(self) -> str:
        """Where the database is reached: a server, or the embedded one while it runs."""
        if self._settings.database_url:
            return self._settings.database_url
        embedded = self._embedded()
        if not embedded.is_running():
            raise Unavailable(
                "the embedded database is not running",
                expected="a server that was started",
                got="none",
                hint="`filmgate db start` keeps one running",
            )
        return embedded.url

    def _ingest_after(
        self, run: FolderRun, manifest: Manifest, options: RunOptions
    ) -> tuple[Receipt | None, str | None]:
        if not options.ingest:
            return None, None
        if manifest.status is RunState.INCOMPLETE:
            return None, "the run is not complete yet"
        if manifest.is_blocked:
            return None, None
        try:
            return self._ingest(run), None
        except FilmgateError as error:
            self._log.info("ingest.failed", run=manifest.run_id, error=str(error))
            return None, f"{error}. `filmgate ingest {run.folder}` tries again"

    def _ingest(self, run: FolderRun) -> Receipt:
        from filmgate.sync.ingest import ingest_run  # slow, and not every command needs it

        with self.results() as results:
            receipt = ingest_run(run, results, BUILT_IN)
        self._log.info("ingest.done", run=receipt.run_id, artifacts=receipt.artifacts)
        return receipt

    @contextmanager
    def results(self) -> Iterator[ResultStore]:
        """The database, for as long as the block lasts."""
        from filmgate.db.connection import connected  # slow, and not every command needs it
        from filmgate.db.result_store import PostgresResults

        with self._database() as url, connected(url) as connection:
            yield PostgresResults(connection)

    @contextmanager
    def _database(self) -> Iterator[str]:
        if self._settings.database_url:
            yield self._settings.database_url
        else:
            with self._embedded().used() as url:
                yield url

    def _embedded(self) -> "EmbeddedPostgres":
        from filmgate.db.embedded import EmbeddedPostgres  # not every command needs it

        if self._settings.database_url:
            raise Invalid(
                "the database is a server of yours",
                expected="no FILMGATE_DATABASE_URL",
                got="one that is set",
                hint="Start and stop it where it lives",
            )
        return EmbeddedPostgres((self._home.root / "pg").absolute())
