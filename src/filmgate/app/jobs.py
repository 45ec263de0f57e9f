"""Jobs: runs that are asked for now, and done by workers."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filmgate.app.database import Database
from filmgate.app.run_options import RunOptions
from filmgate.app.settings import Settings
from filmgate.app.system import System
from filmgate.core.access import Caller
from filmgate.core.errors import Invalid, NotPermitted
from filmgate.core.ids import parse_asset_id
from filmgate.core.jobs import JobAnswer, JobOutcome, JobRequest, JobsAnswer
from filmgate.store.home import Home
from filmgate.store.uploads import Uploads

if TYPE_CHECKING:
    from filmgate.db.jobs import Abandoned, Task
    from filmgate.db.jobs import Jobs as Stored


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
        for name, value in request.settings.items():
            self._check_place(name, value)
        source = self._source(request)
        head = self._system.reserve(pipeline, source, options_of(request))
        with self._stored() as stored:
            before = stored.latest(head.asset.id, head.run_id)
            if before is not None:
                caller.own(before.submitted_by, f"run {head.run_id} of {head.asset.id}")
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

    def begin(self, job_id: int, worker: str) -> "Task | None":
        """A worker is at it now; None where it is over."""
        with self._stored() as stored:
            return stored.begin(job_id, worker)

    def end(self, job_id: int, outcome: JobOutcome, *, is_cancelled: bool = False) -> None:
        """A job is over."""
        with self._stored() as stored:
            stored.end(job_id, outcome, is_cancelled=is_cancelled)

    def try_again(self, job_id: int, outcome: JobOutcome) -> None:
        """A job is not over; this came of a try."""
        with self._stored() as stored:
            stored.try_again(job_id, outcome)

    def abandoned(self, worker_id: int, silence_s: float) -> "list[Abandoned]":
        """Jobs that are being done by nobody who is heard of, and this worker's own."""
        with self._stored() as stored:
            return stored.abandoned(worker_id, silence_s)

    def _source(self, request: JobRequest) -> Path:
        """What the job is to run on."""
        if request.source is not None:
            return self._within(request.source, "source")
        if request.asset_id is None:
            raise Invalid(
                "what is it to run on?",
                expected="asset_id of an uploaded video, or a source",
                got="neither",
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

    def _check_place(self, name: str, value: Any) -> None:
        """Settings that name places are held to the same folders; buckets are not places."""
        for each in value if isinstance(value, list) else [value]:
            is_place = isinstance(each, str) and (
                "/" in each or "\\" in each or each.startswith((".", "~"))
            )
            if is_place and not each.startswith("s3://"):
                self._within(each, name)

    @contextmanager
    def _stored(self) -> "Iterator[Stored]":
        from filmgate.db.jobs import Jobs as Stored  # slow, and not always needed

        with self._database.session() as connection:
            yield Stored(connection)


def options_of(request: JobRequest) -> RunOptions:
    """What is asked of a run, as the command line would say it."""
    settings = tuple(
        f"{name}={value if isinstance(value, str) else json.dumps(value)}"
        for name, value in request.settings.items()
    )
    known = {
        name: value
        for name, value in request.model_dump().items()
        if name in asdict(RunOptions()) and name not in {"settings", "stages"}
    }
    return replace(
        RunOptions(**known), settings=settings, stages=request.stages, jobs=request.workers
    )
