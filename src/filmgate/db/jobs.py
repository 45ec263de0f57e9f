"""Jobs in the database: request, state and outcome; the queue is procrastinate's.

A job is stored in `jobs` and, under the same id, in the queue (`procrastinate_jobs`), in one
transaction. The queue decides which worker gets it; `ended_at` says whether it has ended.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psycopg
from procrastinate.connector import BaseConnector
from procrastinate.exceptions import AlreadyEnqueued, ConnectorException
from procrastinate.jobs import Job
from procrastinate.manager import JobManager
from procrastinate.schema import SchemaManager
from procrastinate.sync_psycopg_connector import SyncPsycopgConnector
from psycopg import sql
from psycopg.types.json import Jsonb

from filmgate.core.database import Row
from filmgate.core.errors import Conflict, NotFound
from filmgate.core.jobs import JobAnswer, JobOutcome, JobRequest, JobsAnswer, JobState
from filmgate.core.questions import Cursor
from filmgate.db.queries import queries
from filmgate.db.sessions import DatabaseSession, compose

TASK = "filmgate.run"
LATEST = Cursor.MAX_INT
_LOCK = 0x46494C4E
"""Number of the advisory lock that lets only one process create the queue's tables at a time."""

_RELEASE = re.compile(r"\d\d\.\d\d\.\d\d_\d\d_.+\.sql\Z")


@dataclass(frozen=True, kw_only=True)
class JobTask:
    """A job that a worker has begun."""

    job_id: int
    pipeline: str
    asset_id: str
    run_id: str
    source: str
    request: JobRequest
    tries: int
    """Number of attempts at the job, including this one."""
    failures: int
    """Number of earlier attempts in which its process died or a service was unavailable."""


@dataclass(frozen=True, kw_only=True)
class AbandonedJob:
    """A job that runs according to the queue, but may have no worker that executes it."""

    job_id: int
    worker_id: int | None
    is_own: bool
    """Whether the queue assigned the job to the worker that called `abandoned`."""


class JobStore:
    """Stores jobs over one connection."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection
        self._session = DatabaseSession(connection)
        self._sql = queries("jobs")

    def prepare(self) -> None:
        """Create the queue's tables, or migrate them to the installed version of the library."""
        with self._connection.transaction():
            self._connection.execute("select pg_advisory_xact_lock(%s)", [_LOCK])
            has_queue = self._session.one_required(self._sql["queue_exists"], {})["found"]
            self._connection.execute(self._sql["create_changes"])
            rows = self._connection.execute("select name from queue_changes").fetchall()
            applied = {row[0] for row in rows}
            changes = [path for path in _migration_files() if path.name not in applied]
            if not has_queue:
                self._connection.execute(SchemaManager.get_schema())
            else:
                for path in changes:
                    self._connection.execute(path.read_bytes())
            for path in changes:
                self._connection.execute("insert into queue_changes values (%s)", [path.name])

    def submit(
        self,
        request: JobRequest,
        *,
        pipeline: str,
        asset_id: str,
        run_id: str,
        source: str,
        submitted_by: str,
    ) -> JobAnswer:
        """Add a job to the queue; return its queued state, even if a worker starts it at once.

        Raises Conflict if another job on the run has not ended yet.
        """
        run = {"asset_id": asset_id, "run_id": run_id}
        try:
            with self._connection.transaction():
                if (found := self._session.one(self._sql["open_of_run"], run)) is not None:
                    raise _open_job_error(run, found["job_id"])
                queued = self._queued(request.priority, f"{asset_id}/{run_id}")
                with _driver_errors():
                    job_id = _manager().defer_job(queued, connection=self._connection).id
                if job_id is None:
                    raise RuntimeError("the queue returned no id")
                row = {
                    "job_id": job_id,
                    "pipeline": pipeline,
                    "source": source,
                    "request": Jsonb(request.model_dump(mode="json")),
                    "submitted_by": submitted_by,
                    **run,
                }
                self._session.execute(self._sql["add"], row)
                self._session.one(self._sql["notify"], run)
                return self.get(job_id)
        except (psycopg.errors.UniqueViolation, AlreadyEnqueued):
            found = self._session.one(self._sql["open_of_run"], run)
            raise _open_job_error(run, found["job_id"] if found else None) from None

    def get(self, job_id: int) -> JobAnswer:
        """Return a job; NotFound if it does not exist."""
        row = None
        if 0 < job_id < LATEST:
            row = self._session.one(_with_job("job"), {"job_id": job_id})
        if row is None:
            raise NotFound(f"job {job_id} does not exist", expected="the id of a submitted job")
        return _job(row)

    def latest(self, asset_id: str, run_id: str) -> JobAnswer | None:
        """Return the latest job on a run; None if it had no job."""
        parameters = {"asset_id": asset_id, "run_id": run_id}
        row = self._session.one(_with_job("latest_of_run"), parameters)
        return _job(row) if row is not None else None

    def all(
        self,
        *,
        pipeline: str | None,
        asset_id: str | None,
        submitted_by: str | None,
        is_open: bool,
        limit: int,
        cursor: str | None,
    ) -> JobsAnswer:
        """List a page of jobs that pass all filters, the latest first; None passes all."""
        question = ["jobs", pipeline, asset_id, submitted_by, is_open]
        (before,) = Cursor.decode(cursor, question, (int,)) if cursor else (LATEST,)
        parameters = {
            "before": before,
            "pipeline": pipeline,
            "asset_id": asset_id,
            "submitted_by": submitted_by,
            "is_open": is_open,
            "limit": limit + 1,
        }
        jobs = [_job(row) for row in self._session.all(_with_job("jobs"), parameters)]
        following = Cursor.after_page(jobs, limit, question, lambda job: [job.job_id])
        return JobsAnswer(jobs=tuple(jobs[:limit]), next_cursor=following)

    def counts(self) -> dict[str, int]:
        """Count the jobs in each state."""
        rows = self._session.all(_with_job("counts"), {})
        return {state.value: 0 for state in JobState} | {r["state"]: r["jobs"] for r in rows}

    def cancel(self, job_id: int) -> JobAnswer:
        """Take a job out of the queue, or ask its worker to stop it if it runs. A job that has
        ended does not change."""
        with self._connection.transaction():
            job = self.get(job_id)
            if job.state.is_over:
                return job
            with _driver_errors():
                _manager().cancel_job_by_id(job_id, abort=True, connection=self._connection)
            if self.get(job_id).state is JobState.QUEUED:
                self._end(job_id, JobOutcome(exit_code=130), is_cancelled=True)
            self._session.one(self._sql["notify"], {"asset_id": job.asset_id, "run_id": job.run_id})
        return self.get(job_id)

    def begin(self, job_id: int, worker: str) -> JobTask | None:
        """Record that a worker begins a job; return None if the job has ended."""
        row = self._session.one(self._sql["begin"], {"job_id": job_id, "worker": worker})
        if row is None:
            return None
        self._session.one(self._sql["notify"], row)
        request = JobRequest.model_validate(row.pop("request"))
        return JobTask(job_id=job_id, request=request, **row)

    def end(
        self,
        job_id: int,
        outcome: JobOutcome,
        *,
        tries: int | None = None,
        is_cancelled: bool = False,
    ) -> None:
        """Record the end of a job. Nothing changes if the job has already ended, or if an attempt
        after number `tries` has begun."""
        with self._connection.transaction():
            self._end(job_id, outcome, tries=tries, is_cancelled=is_cancelled)

    def record_retry(
        self, job_id: int, outcome: JobOutcome, *, tries: int, is_failure: bool
    ) -> None:
        """Record the outcome of attempt number `tries`, after which the job is retried."""
        parameters = {
            "job_id": job_id,
            "outcome": Jsonb(outcome.model_dump(mode="json")),
            "tries": tries,
            "is_failure": is_failure,
        }
        self._session.one(self._sql["record_retry"], parameters)

    def record_heartbeat(self, job_ids: Iterable[int], worker: str) -> None:
        """Record that a worker still runs these jobs."""
        parameters = {"job_ids": list(job_ids), "worker": worker}
        self._session.execute(self._sql["record_heartbeat"], parameters)

    def abandoned(self, worker_id: int, silence_s: float) -> list[AbandonedJob]:
        """List running jobs without a heartbeat in the last `silence_s` seconds, neither of their
        worker in the queue nor of the job itself; and all running jobs of this worker."""
        parameters = {"worker_id": worker_id, "silence_s": silence_s}
        rows = self._session.all(self._sql["abandoned"], parameters)
        return [AbandonedJob(**row) for row in rows]

    def take_over(
        self, abandoned: AbandonedJob, *, most_failures: int, died: JobOutcome
    ) -> str | None:
        """Return a job to the queue. End it with the outcome `died` instead if its cancellation was
        requested or it has failed `most_failures` times. Return its new status in the queue; None
        if another worker took it over first."""
        job_id, status = abandoned.job_id, None
        with self._connection.transaction() as transaction:
            row = self._session.one(self._sql["count_failure"], {"job_id": job_id})
            is_final = row is None or row["failures"] >= most_failures
            parameters = {"job_id": job_id, "worker_id": abandoned.worker_id, "is_final": is_final}
            updated = self._session.one(self._sql["take_over"], parameters)
            if updated is None:
                raise psycopg.Rollback(transaction)
            status = str(updated["status"])
            if status == "aborted":
                self._end(job_id, died, is_cancelled=updated["abort_requested"])
        return status

    def cancel_requested(self, job_ids: Iterable[int]) -> set[int]:
        """Return those of the jobs whose cancellation was requested."""
        rows = self._session.all(self._sql["cancel_requested"], {"job_ids": list(job_ids)})
        return {row["job_id"] for row in rows}

    def end_orphans(self, silence_s: float, outcome: JobOutcome) -> list[int]:
        """End jobs that have ended in the queue, but not in `jobs`, and have no heartbeat
        in the last `silence_s` seconds; return their ids."""
        rows = self._session.all(self._sql["orphans"], {"silence_s": silence_s})
        for row in rows:
            self.end(row["job_id"], outcome, is_cancelled=row["is_cancelled"])
        return [row["job_id"] for row in rows]

    def is_any_queued(self) -> bool:
        """Whether a job waits in the queue, including those scheduled for later."""
        return bool(self._session.one_required(self._sql["is_any_queued"], {})["found"])

    def _queued(self, priority: int, lock: str) -> Job:
        """Return a new job for the queue of this schema."""
        queue = self._session.one_required(self._sql["queue_name"], {})["name"]
        return Job(
            queue=queue,
            priority=priority,
            lock=lock,
            queueing_lock=lock,
            task_name=TASK,
            task_kwargs={},
        )

    def _end(
        self,
        job_id: int,
        outcome: JobOutcome,
        *,
        tries: int | None = None,
        is_cancelled: bool = False,
    ) -> None:
        parameters = {
            "job_id": job_id,
            "outcome": Jsonb(outcome.model_dump(mode="json")),
            "tries": tries,
            "is_cancelled": is_cancelled,
        }
        row = self._session.one(self._sql["end"], parameters)
        if row is not None:
            self._session.one(self._sql["notify"], row)


@contextmanager
def _driver_errors() -> Iterator[None]:
    """Raise the driver's error instead of the queue library's error that wraps it."""
    try:
        yield
    except ConnectorException as error:
        if isinstance(error.__cause__, psycopg.Error):
            raise error.__cause__ from None
        raise


@cache
def _manager() -> JobManager:
    """Return a manager with a connector that is never opened: each call passes a connection."""
    connector: BaseConnector = SyncPsycopgConnector()
    return JobManager(connector)


@cache
def _with_job(name: str) -> str:
    """Return a query for complete jobs. Its text is always the same, so that the driver can
    reuse the prepared statement."""
    statements = queries("jobs")
    job = sql.SQL(statements["fragment_job"])
    return compose(statements[name], job=job).as_string()


def _job(row: Row) -> JobAnswer:
    fields = {name: row[name] for name in JobAnswer.model_fields if name in row}
    return JobAnswer(**fields | {"priority": row["priority"] or 0})


def _migration_files() -> list[Path]:
    """List the library's migrations, oldest first."""
    folder = Path(SchemaManager.get_migrations_path())
    return sorted(path for path in folder.iterdir() if _RELEASE.match(path.name))


def _open_job_error(run: Mapping[str, str], job_id: int | None) -> Conflict:
    return Conflict(
        f"run {run['run_id']} of {run['asset_id']} already has a job that has not ended",
        expected="one job on a run at a time",
        got=f"job {job_id}",
        hint="Wait for the job, cancel it, or start another run with `new`",
        job_id=job_id,
        **run,
    )
