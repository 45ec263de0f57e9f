"""Jobs: runs that are asked for now, and done by workers."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filmgate.app import pipelines
from filmgate.app.database import Database
from filmgate.app.run_options import RunOptions
from filmgate.app.settings import Settings
from filmgate.app.system import System
from filmgate.core.access import Caller
from filmgate.core.errors import Invalid, NotPermitted
from filmgate.core.ids import parse_asset_id
from filmgate.core.jobs import JobAnswer, JobRequest, JobsAnswer
from filmgate.core.records import RunHead
from filmgate.store.home import Home
from filmgate.store.uploads import Uploads

if TYPE_CHECKING:
    from filmgate.db.jobs import Jobs as Stored


OF_SOURCES = frozenset({"gameplay", "rulebook"})
"""Pipelines that are not run on a video."""


class Jobs:
    """Of these settings. Each call is a session of the database of its own."""

    def __init__(self, settings: Settings, database: Database | None = None) -> None:
        self._settings = settings
        self._database = database or Database(settings)
        self._system = System(settings, self._database)
        self._uploads = Uploads(Home(settings.home.expanduser()).root)

    def prepare(self) -> None:
        """Make the queue, where there is none, or bring it up to date."""
        with self._stored() as stored:
            stored.prepare()

    def submit(self, pipeline: str, request: JobRequest, caller: Caller) -> JobAnswer:
        """Reserve the run that is meant, and give it to the workers.

        Raises Invalid or NotFound for an input that will not do, NotPermitted for places outside
        FILMGATE_SOURCES and for a run that somebody else submitted, Conflict where a job on the
        run is not over.
        """
        self._check_places(pipeline, request)
        source = self._source(pipeline, request)
        with self._stored():
            pass  # where the database is away, nothing is reserved

        def check(head: RunHead) -> None:
            before = self.latest(head.asset.id, head.run_id)
            if before is not None:
                caller.own(before.submitted_by, f"run {head.run_id} of {head.asset.id}")

        # Reads the input whole: meanwhile no connection is held.
        head = self._system.reserve(pipeline, source, options_of(request), check)
        with self._stored() as stored:
            job_id = stored.submit(
                request,
                pipeline=pipeline,
                asset_id=head.asset.id,
                run_id=head.run_id,
                source=str(source),
                submitted_by=caller.user,
            )
            return stored.get(job_id)

    def get(self, job_id: int) -> JobAnswer:
        """A job, or NotFound."""
        with self._stored() as stored:
            return stored.get(job_id)

    def all(self, **asked: Any) -> JobsAnswer:
        """Jobs, the latest first; see `db.jobs.Jobs.all`."""
        with self._stored() as stored:
            return stored.all(**asked)

    def latest(self, asset_id: str, run_id: str) -> JobAnswer | None:
        """The latest job on a run."""
        with self._stored() as stored:
            return stored.latest(asset_id, run_id)

    def counts(self) -> dict[str, int]:
        """How many jobs are in each state."""
        with self._stored() as stored:
            return stored.counts()

    def cancel(self, job_id: int) -> JobAnswer:
        """Ask a job to stop; one that is over stays as it is."""
        with self._stored() as stored:
            return stored.cancel(job_id)

    def _source(self, pipeline: str, request: JobRequest) -> Path:
        """What the job is to run on."""
        if request.source is not None:
            return self._within(request.source, "source")
        if request.asset_id is None:
            raise Invalid(
                "what is it to run on?",
                expected="asset_id of an uploaded video, or a source",
                got="neither",
            )
        if pipeline in OF_SOURCES:
            raise Invalid(
                f"an uploaded video is nothing for {pipeline}",
                expected="a source: something in one of the folders of FILMGATE_SOURCES",
                got=f"asset_id {request.asset_id!r} alone",
            )
        return self._uploads.need(parse_asset_id(request.asset_id)).path

    def _within(self, place: str, what: str) -> Path:
        """A place on this machine in one of the folders that are open to jobs; links are followed
        before it is looked at."""
        roots = [root.expanduser().resolve() for root in self._settings.source_folders]
        if "\0" not in place:
            for root in roots:
                try:
                    found = (root / Path(place).expanduser()).resolve()
                except (OSError, RuntimeError):
                    continue
                if found.is_relative_to(root) and found.exists():
                    return found
        raise NotPermitted(
            f"{what} is no place that jobs may use",
            expected="something in one of the folders of FILMGATE_SOURCES",
            got=repr(place[:200]) if roots else "no such folder is set",
            hint="Upload it (POST /v1/videos), or ask whoever runs the service",
        )

    def _check_places(self, pipeline: str, request: JobRequest) -> None:
        """Settings that name places are held to the same folders; buckets are not places.

        Looked at is what the pipeline reads out of what was sent, not the text.
        """
        options, meant = options_of(request), pipelines.load(pipeline)
        config = meant.resolve(options.profile, options.settings)
        for name in request.settings:
            stage, _, setting = name.partition(".")
            for text in _texts(config[meant.plan.named(stage).name][setting]):
                is_place = "/" in text or "\\" in text or text.strip().startswith((".", "~"))
                if is_place and not text.startswith("s3://"):
                    self._within(text, name)

    @contextmanager
    def _stored(self) -> "Iterator[Stored]":
        from filmgate.db.jobs import Jobs as Stored  # slow, and not always needed

        with self._database.session() as connection:
            yield Stored(connection)


def options_of(request: JobRequest) -> RunOptions:
    """What is asked of a run, as the command line would say it."""
    known = {
        name: value
        for name, value in request.model_dump().items()
        if name in asdict(RunOptions()) and name not in {"settings", "stages"}
    }
    settings = tuple(f"{name}={json.dumps(value)}" for name, value in request.settings.items())
    return replace(
        RunOptions(**known), settings=settings, stages=request.stages, jobs=request.workers
    )


def _texts(value: Any) -> Iterator[str]:
    """All texts in a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for held in value.values():
            yield from _texts(held)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _texts(each)
