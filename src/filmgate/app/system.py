"""The System: what the product can do, wired from its parts. Every face calls this."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit
from urllib.request import url2pathname

from filmgate.app import exports, pipelines
from filmgate.app.artifact_types import registry
from filmgate.app.clock import utc_now
from filmgate.app.database import Database
from filmgate.app.executors import executor_of
from filmgate.app.herald import heralded
from filmgate.app.models import Models
from filmgate.app.people import People
from filmgate.app.rulebooks import Rulebooks
from filmgate.app.run_choice import Given, RunChoice, admit, check_plan, job_folder
from filmgate.app.run_options import RunOptions, RunReport, concerned, settings_of
from filmgate.app.run_status import RunStatus
from filmgate.app.settings import Settings
from filmgate.app.stores import opener
from filmgate.core.answers import Receipt
from filmgate.core.errors import FilmgateError, Invalid, NotFound, UsageError
from filmgate.core.forecast import Forecast
from filmgate.core.ids import AssetId, Layout, RunId, parse_env, parse_run_id
from filmgate.core.legacy import LegacyRun
from filmgate.core.manifest import Manifest
from filmgate.core.people import PEOPLE
from filmgate.core.pipeline import DEFAULT_PROFILE, Pipeline
from filmgate.core.plan import Plan
from filmgate.core.ports import EventSink, Observer
from filmgate.core.records import RunHead
from filmgate.core.resources import Resource
from filmgate.core.result_store import ResultStore
from filmgate.core.rulebook import CORPUS
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
from filmgate.store.uploads import Uploads

Told = Callable[[float, float], None]
"""Hears how much is done, and of how much."""

INGESTING = "ingest"


def nobody_is_told(_done: float, _total: float) -> None:
    """Where nobody waits to see how far it is."""


class Kept(Protocol):
    """What the database keeps for runs to consult, as snapshots in the home."""

    def resource(self, head: RunHead) -> Resource | None:
        """As it is now; None where there is nothing."""

    def snapshot(self, sha256: str) -> Resource | None:
        """As it was when it had that digest; None where that is gone."""


class System:
    """Filmgate on one home and one database."""

    def __init__(self, settings: Settings, database: Database | None = None) -> None:
        self._settings = settings
        self._home = Home(settings.home.expanduser())
        self._uploads = Uploads(self._home.root)
        self._database = database or Database(settings)
        self._models = Models(settings)
        self._people = People(settings, self._database)
        self._rulebooks = Rulebooks(settings, self._database)

    @cached_property
    def _log(self) -> Any:
        import structlog  # slow, and not every command logs

        return structlog.get_logger()

    def run(
        self,
        name: str,
        source: Path | None,
        options: RunOptions,
        observer: Observer,
        hashed: Told,
        sinks: tuple[EventSink, ...] = (),
    ) -> RunReport:
        """Run a pipeline on an input: resume the run that is meant, or begin one. A run that is
        named knows its input itself.

        A database that is away does not fail the run; the report says so.
        """
        pipeline = pipelines.load(name)
        request = options.request(pipeline.plan)
        sinks = (*sinks, *exports.sinks(self._settings.export, self._settings.metrics_file))
        given, choice, options = self._chosen(pipeline, source, options, hashed)
        run = choice.find_or_reserve()
        asset = run.head.asset.id
        notes = []
        if run.head.layout is Layout.RUN and (others := choice.other_inputs()):
            notes.append(
                f"asset {asset} has runs on another input ({', '.join(others)}); "
                "if this is no new cut of the same, give it an --asset-id of its own"
            )
        self._log.info("run.started", asset=asset, run=run.head.run_id)
        with (
            self._database.lasting() if options.ingest else nullcontext(),
            heralded(self._database, run.head, observer, sinks, options) as heard,
        ):
            resources, unread = self._resources(pipeline.plan, run)
            notes += unread
            asked = Invocation(
                plan=pipeline.plan,
                run=run,
                inputs=given.inputs,
                request=request,
                registry=registry(),
                resources=resources,
                observer=heard.observer,
                clock=utc_now,
                executor=partial(executor_of, options, pipeline),
                open_store=opener(self._settings),
                sinks=heard.sinks,
                is_detailed=options.is_detailed,
            )
            manifest = self._execute(asked, run, options)
            receipt, ingest_error = self._ingest_after(run, manifest, options, observer)
        self._log.info("run.ended", run=manifest.run_id, status=manifest.status.value)
        if ingest_error is not None:
            command = f"filmgate ingest {run.folder}"
            notes.append(f"the run was not ingested: {ingest_error}. To ingest it: {command}")
        elif options.ingest and manifest.status is RunState.INCOMPLETE and not manifest.is_blocked:
            notes.append("the run was not ingested: it is not complete yet")
        return RunReport(
            manifest=manifest,
            folder=run.folder,
            concerned=concerned(pipeline.plan, request.stages),
            refused=pipeline.refused,
            receipt=receipt,
            ingest_error=ingest_error,
            notes=tuple(notes),
        )

    def reserve(
        self,
        name: str,
        source: Path | None,
        options: RunOptions,
        check: Callable[[RunHead], None],
    ) -> RunHead:
        """The run that `run` would work on; its directory is made where it is a new one. Where it
        is there already, `check` may raise."""
        pipeline = pipelines.load(name)
        options.request(pipeline.plan)
        _, choice, _ = self._chosen(pipeline, source, options, nobody_is_told)
        found = choice.find()
        if found is not None:
            check(found.head)
            return found.head
        return choice.find_or_reserve().head

    def plan(
        self,
        name: str,
        source: Path | None,
        options: RunOptions,
        hashed: Told,
    ) -> Forecast:
        """What `run` would do if it were asked now; nothing is run or written."""
        pipeline = pipelines.load(name)
        request = options.request(pipeline.plan)
        given, choice, _ = self._chosen(pipeline, source, options, hashed)
        run = choice.find()
        if run is None:
            stages = foresee_new(pipeline.plan, request, given.config)
        else:
            resources, _ = self._resources(pipeline.plan, run)
            stages = foresee(pipeline.plan, run, given.inputs, request, registry(), resources)
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
            plan=plan,
            run=run,
            stage=adopted,
            registry=registry(),
            resources=self._resources(plan, run)[0],
            clock=utc_now,
            sinks=sinks,
        )
        note = f"the database knows nothing of it yet: filmgate ingest {run.folder}"
        return RunReport(
            manifest=manifest,
            folder=run.folder,
            concerned=frozenset({adopted.name}),
            notes=(note,),
        )

    def _execute(self, asked: Invocation, run: FolderRun, options: RunOptions) -> Manifest:
        """Run the stages; the database hears of it, also where that is stopped."""
        try:
            if options.ingest:
                self._begin(run)
            return execute(asked)
        except BaseException:
            if options.ingest:
                self._end(run)
            raise

    def _resources(self, plan: Plan, run: FolderRun) -> tuple[dict[str, Resource], list[str]]:
        """What stages may consult besides the run, and what of it could not be read. Where the
        database cannot be asked, what the run consulted before stands in."""
        resources, notes = self._models.resources(plan.consults), []
        kept: dict[str, Kept] = {PEOPLE: self._people, CORPUS: self._rulebooks}
        for name in sorted(kept.keys() & plan.consults):
            try:
                known = kept[name].resource(run.head)
            except (FilmgateError, OSError) as error:
                notes.append(f"the {name} that are known could not be asked for: {error}")
                known = self._before(run, name, kept[name])
            if known is not None:
                resources[name] = known
        return resources, notes

    def _before(self, run: FolderRun, name: str, kept: Kept) -> Resource | None:
        """What some stage of the run consulted under that name."""
        ledger = run.ledger()
        records = (ledger.current(stage) for stage in run.head.stages)
        prints = (record.fingerprint for record in records if record and record.fingerprint)
        consulted = [each.resources[name] for each in prints if name in each.resources]
        return kept.snapshot(consulted[-1]) if consulted else None

    def _resumed(
        self, pipeline: Pipeline, source: Path | None, options: RunOptions
    ) -> tuple[RunOptions, Path]:
        """What is asked, with what the run that is named knows itself: its input, what that goes
        by, and its environment."""
        if options.job_dir is None and options.run_id is None:
            if source is None:
                raise UsageError(
                    f"what is {pipeline.plan.pipeline} to run on?",
                    expected="an input, or a run that was begun",
                    got="neither",
                    hint="Name its files, or its folder: --job-dir",
                )
            return options, source
        if pipeline.layout is Layout.RUN and source is not None:
            return options, source
        if options.job_dir is not None:
            named = FolderRun(job_folder(options.job_dir))
        else:
            env = parse_env(options.env or self._settings.env)
            named = self._home.job(parse_run_id(str(options.run_id)), options.env, env)
        try:
            head = named.head
        except NotFound:
            if source is None:
                raise
            return options, source
        uploads = source or Path(url2pathname(urlsplit(head.asset.uri).path))
        env, asset_id = options.env or head.env, options.asset_id or head.asset.id
        options = replace(options, env=env, asset_id=asset_id)
        if not options.settings and options.profile == DEFAULT_PROFILE:
            options = replace(options, settings=settings_of(head), profile=head.profile)
        return options, uploads

    def _chosen(
        self, pipeline: Pipeline, source: Path | None, options: RunOptions, hashed: Told
    ) -> tuple[Given, RunChoice, RunOptions]:
        """The input that is meant, looked at, and which run; with what that run knows itself."""
        options, source = self._resumed(pipeline, source, options)
        given = admit(pipeline, source, options, hashed, self._uploads.sha256_of)
        choice = RunChoice(
            self._home,
            given,
            options,
            producer=self._settings.producer,
            env=parse_env(options.env or self._settings.env),
            now=utc_now(),
        )
        return given, choice, options

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
        return run.folder, verify(run, plan, registry())

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

    def run_of(self, reference: str) -> FolderRun:
        """The run that is meant: `asset/run`, a run id, or an asset for its newest; or NotFound."""
        return self._home.find(reference)

    def run_by_id(self, asset_id: AssetId, run_id: RunId) -> FolderRun | None:
        """An asset's run where its id says that it lies; None where it does not, as jobs do not."""
        return self._home.run(asset_id, run_id)

    def runs_of(self, asset_id: AssetId) -> list[FolderRun]:
        """The runs of an asset that lie in the home, oldest first."""
        return self._home.runs(asset_id)

    def ingest(self, reference: str, told: Told) -> Receipt:
        """Take a run into the database; the same again changes nothing."""
        return self._ingest(self._home.find(reference), told)

    def _ingest_after(
        self, run: FolderRun, manifest: Manifest, options: RunOptions, observer: Observer
    ) -> tuple[Receipt | None, FilmgateError | None]:
        """Ingest a complete run where that is wanted: its receipt, or why there is none."""
        if not options.ingest:
            return None, None
        if manifest.status is RunState.INCOMPLETE or manifest.is_blocked:
            self._end(run)
            return None, None
        try:
            return self._ingest(run, partial(observer.stage_progress, INGESTING)), None
        except FilmgateError as error:
            self._log.info("ingest.failed", run=manifest.run_id, error=str(error))
            self._end(run)
            return None, error

    def _begin(self, run: FolderRun) -> None:
        """Let the database know of a run from its start on; it is no matter if it is away."""
        with suppress(FilmgateError), self._results() as results:
            results.begin(run.head)

    def _end(self, run: FolderRun) -> None:
        with suppress(FilmgateError), self._results() as results:
            results.end(run.refold(None))

    def _ingest(self, run: FolderRun, told: Told) -> Receipt:
        from filmgate.sync.ingest import ingest_run  # slow, and not every command needs it

        with self._results() as results:
            receipt = ingest_run(run, results, registry(), told)
        self._log.info("ingest.done", run=receipt.run_id, artifacts=receipt.artifacts)
        return receipt

    @contextmanager
    def _results(self) -> Iterator[ResultStore]:
        from filmgate.db.result_store import PostgresResults  # slow, and not always needed

        with self._database.session() as connection:
            yield PostgresResults(connection, registry())
