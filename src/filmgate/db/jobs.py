"""Jobs in the database: what was asked, and what came of it; the queue is procrastinate's.

A job stands in `pipeline.jobs` and, by the same id, in the queue (schema `queue`), put into both
in one transaction. The queue says who may take it; `ended_at` says whether it is over.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
from procrastinate.connector import BaseConnector
from procrastinate.exceptions import AlreadyEnqueued, ConnectorException
from procrastinate.jobs import Job
from procrastinate.manager import JobManager
from procrastinate.schema import SchemaManager
from procrastinate.sync_psycopg_connector import SyncPsycopgConnector
from psycopg import sql
from psycopg.types.json import Jsonb

from filmgate.core.errors import Conflict, NotFound
from filmgate.core.jobs import JobAnswer, JobOutcome, JobRequest, JobsAnswer, JobState
from filmgate.core.questions import Cursor
from filmgate.db.queries import queries
from filmgate.db.sessions import Session, composed

TASK = "filmgate.run"
QUEUE = "runs"
LATEST = Cursor.GREATEST
_LOCK = 0x46494C4E
"""Any number, the same for all: only one process makes the queue's tables at a time."""

_RELEASE = re.compile(r"\d\d\.\d\d\.\d\d_\d\d_.+\.sql\Z")


@dataclass(frozen=True, kw_only=True)
class Task:
    """A job, as a worker takes it."""

    job_id: int
    pipeline: str
    asset_id: str
    run_id: str
    source: str
    request: JobRequest
    tries: int
    """Which time it is begun."""
    failures: int
    """How often it died before, or found a service away."""


@dataclass(frozen=True, kw_only=True)
class Abandoned:
    """A job that is being done, as the queue has it, by nobody who is heard of."""

    job_id: int
    worker_id: int | None
    is_mine: bool
    """Whether the queue gave it to the worker that asks."""


class Jobs:
    """Over one connection."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection
        self._session = Session(connection)
        self._sql = queries("jobs")

    def prepare(self) -> None:
        """Make the queue's tables, or bring them up to date with the library that is installed."""
        with self._connection.transaction():
            self._connection.execute("select pg_advisory_xact_lock(%s)", [_LOCK])
            there = self._session.need(self._sql["queue_there"], {})["is_there"]
            self._connection.execute("create schema if not exists queue")
            self._connection.execute("set local search_path = queue")
            self._connection.execute("create table if not exists changes (name text primary key)")
            rows = self._connection.execute("select name from changes").fetchall()
            known = {row[0] for row in rows}
            changes = [path for path in _changes() if path.name not in known]
            if not there:
                self._connection.execute(SchemaManager.get_schema())
            else:
                for path in changes:
                    self._connection.execute(path.read_bytes())
            for path in changes:
                self._connection.execute("insert into changes values (%s)", [path.name])

    def submit(
        self,
        request: JobRequest,
        *,
        pipeline: str,
        asset_id: str,
        run_id: str,
        source: str,
        submitted_by: str,
    ) -> int:
        """Put a job into the queue; its id. Conflict where one on the run is not over yet."""
        run = {"asset_id": asset_id, "run_id": run_id}
        lock = f"{asset_id}/{run_id}"
        queued = Job(
            queue=QUEUE,
            priority=request.priority,
            lock=lock,
            queueing_lock=lock,
            task_name=TASK,
            task_kwargs={},
        )
        try:
            with self._connection.transaction():
                if (found := self._session.one(self._sql["open_of_run"], run)) is not None:
                    raise _open(run, found["job_id"])
                self._connection.execute("set local search_path = queue, public")
                with _in_the_drivers_words():
                    job_id = _manager().defer_job(queued, connection=self._connection).id
                row = {
                    "job_id": job_id,
                    "pipeline": pipeline,
                    "source": source,
                    "request": Jsonb(request.model_dump(mode="json")),
                    "submitted_by": submitted_by,
                    **run,
                }
                self._session.do(self._sql["add"], row)
                self._session.one(self._sql["tell"], run)
        except (psycopg.errors.UniqueViolation, AlreadyEnqueued):
            found = self._session.one(self._sql["open_of_run"], run)
            raise _open(run, found["job_id"] if found else None) from None
        if job_id is None:
            raise RuntimeError("the queue gave no id")
        return job_id

    def get(self, job_id: int) -> JobAnswer:
        """A job; NotFound where there is none."""
        row = None
        if 0 < job_id < LATEST:
            row = self._session.one(_with_job("job"), {"job_id": job_id})
        if row is None:
            raise NotFound(f"no job {job_id}", expected="the id that a submission gave")
        return _job(row)

    def latest(self, asset_id: str, run_id: str) -> JobAnswer | None:
        """The latest job on a run; None where there was none."""
        asked = {"asset_id": asset_id, "run_id": run_id}
        row = self._session.one(_with_job("latest_of_run"), asked)
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
        """Jobs that are so, the latest first."""
        question = ["jobs", pipeline, asset_id, submitted_by, is_open]
        (before,) = Cursor.read(cursor, question, (int,)) if cursor else (LATEST,)
        asked = {
            "before": before,
            "pipeline": pipeline,
            "asset_id": asset_id,
            "submitted_by": submitted_by,
            "is_open": is_open,
            "limit": limit + 1,
        }
        jobs = [_job(row) for row in self._session.all(_with_job("jobs"), asked)]
        following = Cursor.after(jobs, limit, question, lambda job: [job.job_id])
        return JobsAnswer(jobs=tuple(jobs[:limit]), next_cursor=following)

    def counts(self) -> dict[str, int]:
        """How many jobs are in each state."""
        rows = self._session.all(_with_job("counts"), {})
        return {state.value: 0 for state in JobState} | {r["state"]: r["jobs"] for r in rows}

    def cancel(self, job_id: int) -> JobAnswer:
        """Take a job out of the queue; one that is being done is asked to stop. One that is over
        is left as it is."""
        with self._connection.transaction():
            job = self.get(job_id)
            if job.state.is_over:
                return job
            self._connection.execute("set local search_path = queue, public")
            with _in_the_drivers_words():
                _manager().cancel_job_by_id(job_id, abort=True, connection=self._connection)
            if self.get(job_id).state is JobState.QUEUED:
                self._end(job_id, JobOutcome(exit_code=130), is_cancelled=True)
            self._session.one(self._sql["tell"], {"asset_id": job.asset_id, "run_id": job.run_id})
        return self.get(job_id)

    def begin(self, job_id: int, worker: str) -> Task | None:
        """A worker is at it now; None where it is over."""
        row = self._session.one(self._sql["begin"], {"job_id": job_id, "worker": worker})
        if row is None:
            return None
        self._session.one(self._sql["tell"], row)
        request = JobRequest.model_validate(row.pop("request"))
        return Task(job_id=job_id, request=request, **row)

    def end(
        self,
        job_id: int,
        outcome: JobOutcome,
        *,
        tries: int | None = None,
        is_cancelled: bool = False,
    ) -> None:
        """It is over; where it was before, or was begun again since (`tries` says which time one
        speaks of), nothing changes."""
        with self._connection.transaction():
            self._end(job_id, outcome, tries=tries, is_cancelled=is_cancelled)

    def try_again(self, job_id: int, outcome: JobOutcome, *, tries: int, is_failure: bool) -> None:
        """It is not over, and this came of that try."""
        told = {
            "job_id": job_id,
            "outcome": Jsonb(outcome.model_dump(mode="json")),
            "tries": tries,
            "is_failure": is_failure,
        }
        self._session.one(self._sql["try_again"], told)

    def beat(self, job_ids: Iterable[int], worker: str) -> None:
        """A worker is at these, still."""
        self._session.do(self._sql["beat"], {"job_ids": list(job_ids), "worker": worker})

    def abandoned(self, worker_id: int, silence_s: float) -> list[Abandoned]:
        """Jobs of which nobody has been heard for so long, neither their worker in the queue nor
        whoever began them; and those of this worker."""
        asked = {"worker_id": worker_id, "silence_s": silence_s}
        return [Abandoned(**row) for row in self._session.all(self._sql["abandoned"], asked)]

    def take_over(
        self, abandoned: Abandoned, *, most_failures: int, died: JobOutcome
    ) -> str | None:
        """Put a job back into the queue, or end it: where somebody wants it cancelled, or it was
        the death of too many workers (of which `died` tells). What became of it; None where
        somebody else was first."""
        job_id, became = abandoned.job_id, None
        with self._connection.transaction() as whole:
            self._connection.execute("set local search_path = queue, public")
            row = self._session.one(self._sql["failed_again"], {"job_id": job_id})
            is_final = row is None or row["failures"] >= most_failures
            asked = {"job_id": job_id, "worker_id": abandoned.worker_id, "is_final": is_final}
            taken = self._session.one(self._sql["take_over"], asked)
            if taken is None:
                raise psycopg.Rollback(whole)
            became = str(taken["status"])
            if became == "aborted":
                self._end(job_id, died, is_cancelled=taken["abort_requested"])
        return became

    def cancel_asked(self, job_ids: Iterable[int]) -> set[int]:
        """Those of them that somebody wants cancelled."""
        rows = self._session.all(self._sql["cancel_asked"], {"job_ids": list(job_ids)})
        return {row["job_id"] for row in rows}

    def end_orphans(self, silence_s: float, outcome: JobOutcome) -> list[int]:
        """End jobs that are over in the queue, and open here, with nobody at them."""
        rows = self._session.all(self._sql["orphans"], {"silence_s": silence_s})
        for row in rows:
            self.end(row["job_id"], outcome, is_cancelled=row["is_cancelled"])
        return [row["job_id"] for row in rows]

    def is_any_queued(self) -> bool:
        """Whether a job waits in the queue, if only for its time."""
        return bool(self._session.need(self._sql["is_any_queued"], {})["found"])

    def _end(
        self,
        job_id: int,
        outcome: JobOutcome,
        *,
        tries: int | None = None,
        is_cancelled: bool = False,
    ) -> None:
        told = {
            "job_id": job_id,
            "outcome": Jsonb(outcome.model_dump(mode="json")),
            "tries": tries,
            "is_cancelled": is_cancelled,
        }
        row = self._session.one(self._sql["end"], told)
        if row is not None:
            self._session.one(self._sql["tell"], row)


@contextmanager
def _in_the_drivers_words() -> Iterator[None]:
    """What the database says to the queue's library, as it says it to us."""
    try:
        yield
    except ConnectorException as error:
        if isinstance(error.__cause__, psycopg.Error):
            raise error.__cause__ from None
        raise


@cache
def _manager() -> JobManager:
    """Over a connector that is never opened: each statement brings its connection."""
    connector: BaseConnector = SyncPsycopgConnector()
    return JobManager(connector)


@cache
def _with_job(name: str) -> str:
    """A query that asks for whole jobs, as text, so that the driver knows it again."""
    statements = queries("jobs")
    job = sql.SQL(statements["fragment_job"])
    return composed(statements[name], job=job).as_string()


def _job(row: Mapping[str, Any]) -> JobAnswer:
    told = {name: row[name] for name in JobAnswer.model_fields if name in row}
    return JobAnswer(**told | {"priority": row["priority"] or 0})


def _changes() -> list[Path]:
    """The library's own migrations, in order."""
    folder = Path(SchemaManager.get_migrations_path())
    return sorted(path for path in folder.iterdir() if _RELEASE.match(path.name))


def _open(run: Mapping[str, str], job_id: int | None) -> Conflict:
    return Conflict(
        f"run {run['run_id']} of {run['asset_id']} has a job that is not over",
        expected="one job on a run at a time",
        got=f"job {job_id}",
        hint="Wait for it, cancel it, or begin another run with new",
        job_id=job_id,
        **run,
    )
