"""Service that executes, plans, lists, verifies, adopts and ingests runs."""

import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from datetime import datetime
from functools import cached_property, partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import url2pathname

from filmgate.core.answers import Receipt
from filmgate.core.errors import FilmgateError, Invalid, NotFound, UsageError
from filmgate.core.forecast import Forecast
from filmgate.core.ids import AssetId, Layout, RunId, parse_asset_id, parse_env
from filmgate.core.jobs import JobState
from filmgate.core.legacy import LegacyRun
from filmgate.core.manifest import Manifest
from filmgate.core.pipeline import Pipeline
from filmgate.core.ports import EventSink, Observer
from filmgate.core.progress import ProgressCallback, ignore_progress
from filmgate.core.records import RunHead
from filmgate.core.resources import Resource
from filmgate.core.result_store import ResultStore
from filmgate.core.run_request import DEFAULT_PROFILE
from filmgate.core.states import RunState, StageState
from filmgate.db.result_store import PostgresResults
from filmgate.engine.adoption import adopt
from filmgate.engine.invocation import Invocation
from filmgate.engine.planning import forecast_new_run, forecast_run
from filmgate.engine.runner import execute
from filmgate.engine.verification import verify
from filmgate.services.models import Models
from filmgate.services.people import PeopleService
from filmgate.services.run_choice import (
    RunChoice,
    RunInput,
    check_plan,
    find_named_run,
    read_run_input,
)
from filmgate.services.run_notifier import with_notifications
from filmgate.services.run_options import (
    RunOptions,
    RunReport,
    count_ingested,
    frozen_settings,
    with_ancestors,
)
from filmgate.services.run_status import RunStatus, state_shown
from filmgate.services.snapshots import DatabaseSnapshots
from filmgate.store.event_log import read_events
from filmgate.store.home import Home
from filmgate.store.legacy import legacy_runs
from filmgate.store.run_directory import FolderRun
from filmgate.store.uploads import Uploads
from filmgate.sync.ingest import ingest_run
from filmgate.wiring import exports, pipelines
from filmgate.wiring.artifact_types import registry
from filmgate.wiring.clock import utc_now
from filmgate.wiring.database import Database
from filmgate.wiring.executors import create_executor
from filmgate.wiring.settings import Settings
from filmgate.wiring.stores import create_opener

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

INGESTING = "ingest"


class Runs:
    """Executes and manages the runs of one home and one database."""

    def __init__(self, settings: Settings, database: Database | None = None) -> None:
        self._settings = settings
        self._home = Home(settings.home.expanduser())
        self._uploads = Uploads(self._home.root)
        self._database = database or Database(settings)
        self._models = Models(settings)
        people = PeopleService(settings, self._database)
        self._snapshots = DatabaseSnapshots(self._home, self._database, people)

    @cached_property
    def _log(self) -> "FilteringBoundLogger":
        import structlog  # slow, and not every command logs

        log: FilteringBoundLogger = structlog.get_logger()
        return log

    def run(
        self,
        name: str,
        source: Path | None,
        options: RunOptions,
        observer: Observer,
        report_hashed: ProgressCallback,
        sinks: tuple[EventSink, ...] = (),
    ) -> RunReport:
        """Run a pipeline on an input: resume the run that `options` select, or start a new run.

        `source` is optional if `options` name an existing run. `report_hashed` is called with the
        number of hashed bytes of the input and the total. An unavailable database does not fail the
        run; the error is returned in `ingest_error`.
        """
        pipeline = pipelines.load(name)
        request = options.request(pipeline.plan)
        sinks = (*sinks, *exports.create_sinks(self._settings.export, self._settings.metrics_file))
        run_input, choice, options = self._select(pipeline, source, options, report_hashed)
        run = choice.find_or_reserve()
        asset = run.head.asset.id
        notes = []
        if run.head.layout is Layout.RUN and (others := choice.runs_on_other_inputs()):
            notes.append(
                f"asset {asset} already has runs on another input ({', '.join(others)}); "
                "set another --asset-id, unless this input is a new version of the same asset"
            )
        self._log.info("run.started", asset=asset, run=run.head.run_id)
        with (
            self._database.keep_running() if options.ingest else nullcontext(),
            with_notifications(self._database, run.head, observer, sinks, options) as observers,
        ):
            resources, warnings = self._resources(pipeline, run)
            notes += warnings
            invocation = Invocation(
                plan=pipeline.plan,
                run=run,
                inputs=run_input.inputs,
                request=request,
                registry=registry(),
                resources=resources,
                observer=observers.observer,
                clock=utc_now,
                executor=partial(
                    create_executor, options.executor.value, options.workers, pipeline
                ),
                open_store=create_opener(self._settings),
                sinks=observers.sinks,
                is_detailed=options.is_detailed,
            )
            revision = run.fold_manifest(None).revision
            manifest = self._execute(invocation, run, options)
            receipt, ingest_error = None, None
            if options.ingest:
                receipt, ingest_error = self._ingest_after(run, manifest, revision, observer)
        self._log.info("run.ended", run=manifest.run_id, status=manifest.status.value)
        if ingest_error is not None:
            notes.append(f"the run was not ingested: {ingest_error}. {_ingest_hint(run)}")
        elif options.ingest and manifest.status is RunState.INCOMPLETE and not manifest.is_blocked:
            notes.append("the run was not ingested: it is not complete")
        return RunReport(
            manifest=manifest,
            folder=run.folder,
            relevant_stages=with_ancestors(pipeline.plan, request.stages),
            refused=pipeline.refused,
            ingested=count_ingested(pipeline, receipt),
            next_steps=pipeline.next_steps,
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
        """Return the head of the run that `run` would execute; create the folder of a new run.

        `check` is called with the head of an existing run and may raise.
        """
        pipeline = pipelines.load(name)
        options.request(pipeline.plan)
        _, choice, _ = self._select(pipeline, source, options, ignore_progress)
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
        report_hashed: ProgressCallback,
    ) -> Forecast:
        """Forecast what `run` would do; nothing is executed or written."""
        pipeline = pipelines.load(name)
        request = options.request(pipeline.plan)
        run_input, choice, _ = self._select(pipeline, source, options, report_hashed)
        run = choice.find()
        if run is None:
            stages = forecast_new_run(pipeline.plan, request, run_input.config)
        else:
            resources, _ = self._resources(pipeline, run)
            stages = forecast_run(
                pipeline.plan, run, run_input.inputs, request, registry(), resources
            )
        return Forecast(
            pipeline=name,
            asset_id=run_input.asset_id,
            run_id=run.head.run_id if run else None,
            stages=stages,
        )

    def adopt(self, stage: str, reference: str) -> RunReport:
        """Commit the files of a stage that were edited by hand in the run's folder."""
        run = self._home.find(reference)
        pipeline = pipelines.load(run.head.pipeline)
        plan = pipeline.plan
        check_plan(run.head, plan)
        adopted = plan.find_stage(stage)
        sinks = exports.create_sinks(self._settings.export)
        manifest = adopt(
            plan=plan,
            run=run,
            stage=adopted,
            registry=registry(),
            resources=self._resources(pipeline, run)[0],
            clock=utc_now,
            sinks=sinks,
        )
        return RunReport(
            manifest=manifest,
            folder=run.folder,
            relevant_stages=frozenset({adopted.name}),
            next_steps=pipeline.next_steps,
            notes=(f"the change was not ingested. {_ingest_hint(run)}",),
        )

    def _execute(self, invocation: Invocation, run: FolderRun, options: RunOptions) -> Manifest:
        """Execute the stages; record the start and any interruption in the database."""
        try:
            if options.ingest:
                self._begin(run)
            return execute(invocation)
        except BaseException:
            if options.ingest:
                self._end(run)
            raise

    def _resources(
        self, pipeline: Pipeline, run: FolderRun
    ) -> tuple[dict[str, Resource], list[str]]:
        """Return the resources that stages may read, and notes about resources that are unreadable.

        If the database is unavailable, the snapshot that the run used before is returned.
        """
        snapshots, notes = self._snapshots.take(pipeline, run)
        return self._models.resources(pipeline.plan.reads_resources) | snapshots, notes

    def _complete_options(
        self, pipeline: Pipeline, source: Path | None, options: RunOptions
    ) -> tuple[RunOptions, Path]:
        """Return the options and the input, completed from the run that the options name.

        Input, asset id, environment and settings are completed. Raises UsageError if the input is
        missing.
        """
        if options.job_dir is None and options.run_id is None:
            if source is None:
                raise UsageError(
                    f"the input of {pipeline.plan.pipeline} is missing",
                    expected=f"{pipeline.inputs.what}, or an existing run",
                    got="neither",
                    hint="Add the input, or the folder of a run with --job-dir",
                )
            return options, source
        if pipeline.layout is Layout.RUN and source is not None:
            return options, source
        named = find_named_run(self._home, pipeline, options, self._settings.env)
        try:
            head = named.head
        except NotFound:
            if source is None:
                raise
            return options, source
        uploads = source or Path(url2pathname(urlsplit(head.asset.uri).path))
        env, asset_id = options.env or head.env, options.asset_id or head.asset.id
        options = options.with_values(env=env, asset_id=asset_id)
        is_default = options.has_only_defaults or not options.settings
        if is_default and options.profile == DEFAULT_PROFILE:
            options = options.with_values(settings=frozen_settings(head), profile=head.profile)
        return options, uploads

    def _select(
        self,
        pipeline: Pipeline,
        source: Path | None,
        options: RunOptions,
        report_hashed: ProgressCallback,
    ) -> tuple[RunInput, RunChoice, RunOptions]:
        """Return the hashed input, the `RunChoice` and the completed options."""
        options, source = self._complete_options(pipeline, source, options)
        run_input = read_run_input(
            pipeline, source, options, report_hashed, self._uploads.sha256_of
        )
        choice = RunChoice(
            self._home,
            run_input,
            options,
            producer=self._settings.producer,
            env=parse_env(options.env or self._settings.env),
            now=utc_now(),
        )
        return run_input, choice, options

    def legacy_runs(self) -> list[LegacyRun]:
        """List runs that exist only in an older layout; they are not verified."""
        root = self._home.root
        if not any(legacy_runs(root, {})):
            return []  # no pipeline is loaded
        makers = (each.plan for each in pipelines.load_all() if each.made_legacy_runs)
        return [
            run
            for plan in makers
            for run in legacy_runs(root, plan.former_names, pipeline=plan.pipeline)
        ]

    def find_legacy_run(self, reference: str) -> LegacyRun | None:
        """Return the legacy run `asset/run`, or the last one of an asset; None if it is missing."""
        asset, _, run_id = reference.partition("/")
        of_asset = [run for run in self.legacy_runs() if run.asset_id == asset]
        named = [run for run in of_asset if (run.run_id or "") == run_id]
        return next(iter(named or ([] if run_id else of_asset[-1:])), None)

    def recent(
        self,
        limit: int,
        *,
        asset: str | None = None,
        state: str | None = None,
        since: datetime | None = None,
    ) -> tuple[list[RunStatus], list[str]]:
        """List up to `limit` runs, the newest first, and describe the runs that cannot be read.

        `state` is compared with the result of `state_shown`; `since` is the earliest start.
        """
        now = utc_now()
        found: list[RunStatus] = []
        faults = [f"{folder}/run.json cannot be read" for folder in self._home.unreadable_folders()]
        wanted = self._home.runs(parse_asset_id(asset) if asset is not None else None)
        for run in reversed(wanted):
            if since is not None and run.head.created_at < since:
                break
            try:
                status = self._with_job(RunStatus.of(run, now))
            except Invalid as error:
                faults.append(f"{run.folder}: {error}")
                continue
            if state in {None, state_shown(status)}:
                found.append(status)
            if len(found) == limit:
                break
        return found, faults

    def status(self, reference: str) -> RunStatus:
        """Read the status of a run from its records and the last report of its runner."""
        run = self._home.find(reference)
        return self._with_job(RunStatus.of(run, utc_now()))

    def _with_job(self, status: RunStatus) -> RunStatus:
        """Set `is_queued` if no stage of the run was started and its latest job is queued."""
        is_possible = status.is_untouched and self._database.exists()
        if not is_possible or find_spec("procrastinate") is None:  # jobs need the extra `service`
            return status
        from filmgate.db.jobs import JobStore  # imports procrastinate

        manifest = status.manifest
        with suppress(FilmgateError):
            self._database.url()  # raises if the embedded database is stopped
            with self._database.session() as connection:
                job = JobStore(connection).latest(manifest.asset.id, manifest.run_id)
            return replace(status, is_queued=job is not None and job.state is JobState.QUEUED)
        return status

    def verify(self, reference: str) -> tuple[Path, Manifest]:
        """Hash all files of a run; return the run's folder and manifest.

        If the pipeline is not installed here, altered files are reported without details.
        """
        run = self._home.find(reference)
        try:
            plan = pipelines.load(run.head.pipeline).plan
        except FilmgateError:
            plan = None
        return run.folder, verify(run, plan, registry())

    def rebuild_manifest(self, reference: str) -> tuple[Path, Manifest]:
        """Rebuild a run's manifest from its records; return the run's folder and manifest."""
        run = self._home.find(reference)
        with run.acquire_lease(utc_now()) as lease:
            return run.folder, run.close(lease)

    def logs(self, reference: str, stage: str | None, *, follow: bool) -> Iterator[str]:
        """Yield the events of a run or stage, sorted by time; with `follow`, until the run ends."""
        run = self._home.find(reference)
        if stage is not None and stage not in run.head.stages:
            raise NotFound(
                f"run {run.head.run_id} has no stage {stage!r}",
                expected=f"one of {', '.join(run.head.stages)}",
            )
        return read_events(run, [stage] if stage else run.head.stages, follow=follow)

    def find(self, reference: str) -> FolderRun:
        """Find a run by `asset/run`, run id, or asset id (its newest run); raises NotFound."""
        return self._home.find(reference)

    def runs_of_asset(self, asset_id: AssetId, run_id: RunId | None = None) -> list[FolderRun]:
        """List the runs of an asset in the home, or those with a run id; oldest first."""
        return self._home.runs(asset_id, run_id)

    def ingest(self, reference: str, report_progress: ProgressCallback) -> Receipt:
        """Ingest a run; a repeated ingest changes nothing."""
        return self._ingest(self._home.find(reference), report_progress)

    def _ingest_after(
        self, run: FolderRun, manifest: Manifest, revision: int | None, observer: Observer
    ) -> tuple[Receipt | None, FilmgateError | None]:
        """Ingest a complete run; return its receipt or the error.

        `revision`: that of the run before the invocation. If the invocation only closed gates, the
        manifest has other verdicts and the same revision, which the database would refuse.
        """
        is_blocked = any(each.status is StageState.BLOCKED for each in manifest.stages.values())
        is_unchanged = is_blocked and manifest.revision == revision
        if manifest.status is RunState.INCOMPLETE or manifest.is_blocked or is_unchanged:
            self._end(run)
            return None, None
        try:
            return self._ingest(run, partial(observer.stage_progress, INGESTING)), None
        except FilmgateError as error:
            self._log.info("ingest.failed", run=manifest.run_id, error=str(error))
            self._end(run)
            return None, error

    def _begin(self, run: FolderRun) -> None:
        """Record the start of a run in the database; an error is ignored."""
        with suppress(FilmgateError), self._results() as results:
            results.begin(run.head)

    def _end(self, run: FolderRun) -> None:
        with suppress(FilmgateError), self._results() as results:
            results.end(run.fold_manifest(None))

    def _ingest(self, run: FolderRun, report_progress: ProgressCallback) -> Receipt:
        with self._results() as results:
            receipt = ingest_run(
                run, results, registry(), report_progress, summaries_of=pipelines.summaries_of
            )
        self._log.info("ingest.done", run=receipt.run_id, artifacts=receipt.artifacts)
        return receipt

    @contextmanager
    def _results(self) -> Iterator[ResultStore]:
        with self._database.session() as connection:
            yield PostgresResults(connection, registry())


def _ingest_hint(run: FolderRun) -> str:
    return f"To ingest it: filmgate ingest {shlex.quote(str(run.folder))}"
