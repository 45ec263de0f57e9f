"""Jobs in the database: each ends once, also when workers are late, silent or dead."""

import asyncio
import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from filmgate.client.events import parse_events, split_lines
from filmgate.core.errors import Conflict, NotFound
from filmgate.core.jobs import JobOutcome, JobRequest, JobState
from filmgate.db.connection import connected
from filmgate.db.jobs import AbandonedJob, JobStore, JobTask
from filmgate.jobs.job_process import JobProcess
from filmgate.services.run_streams import BUFFERED_LINES, WatchedRun
from filmgate.store.event_log import EventReader, LoggedLine
from filmgate.store.run_directory import FolderRun
from filmgate.wiring.settings import Settings

DONE = JobOutcome(exit_code=0)
FAILED = JobOutcome(exit_code=1)
STOPPED = JobOutcome(exit_code=130)
SILENCE_S = 30.0


@pytest.fixture
def jobs(connection: psycopg.Connection) -> JobStore:
    store = JobStore(connection)
    store.prepare()
    store.prepare()
    return store


def submit(jobs: JobStore, run_id: str = "r1") -> int:
    job = jobs.submit(
        JobRequest(asset_id="film"),
        pipeline="episode",
        asset_id="film",
        run_id=run_id,
        source="/film",
        submitted_by="lisa",
    )
    assert job == jobs.get(job.job_id)
    return job.job_id


@pytest.fixture
def workers(connection: psycopg.Connection, jobs: JobStore) -> list[int]:
    """Insert three workers in the queue's table; return their ids."""
    insert = "insert into procrastinate_workers default values returning id"
    rows = [connection.execute(insert).fetchone() for _ in range(3)]
    return [row[0] for row in rows if row is not None]


def fetch(connection: psycopg.Connection, job_id: int, worker_id: int) -> None:
    """Give a job to a worker, as the queue does."""
    with connection.transaction():
        connection.execute(
            "update procrastinate_jobs set status = 'doing', worker_id = %s where id = %s",
            [worker_id, job_id],
        )


def expire_heartbeats(connection: psycopg.Connection, worker_id: int) -> None:
    """Set the last heartbeat of a worker and of all jobs to an hour ago."""
    connection.execute(
        "update procrastinate_workers set last_heartbeat = now() - interval '1 hour' where id = %s",
        [worker_id],
    )
    connection.execute("update pipeline.jobs set beat_at = now() - interval '1 hour'")


def test_a_run_has_one_job_at_a_time(jobs: JobStore) -> None:
    job_id = submit(jobs)
    with pytest.raises(Conflict, match="has not ended"):
        submit(jobs)
    assert submit(jobs, "r2") > job_id
    jobs.cancel(job_id)
    assert submit(jobs) > job_id
    with pytest.raises(NotFound):
        jobs.get(10**6)


def test_a_submission_is_answered_as_queued_even_if_a_worker_starts_it_at_once(
    jobs: JobStore, connection: psycopg.Connection
) -> None:
    connection.execute(
        """
        create function start_at_once() returns trigger language plpgsql as $$ begin
            update procrastinate_jobs set status = 'doing' where id = new.job_id;
            return null;
        end $$;
        create constraint trigger start_at_once after insert on jobs
            deferrable initially deferred for each row execute function start_at_once();
        """
    )
    request = JobRequest(asset_id="film")
    run = {"pipeline": "episode", "asset_id": "film", "run_id": "r1", "source": "/film"}
    job = jobs.submit(request, **run, submitted_by="lisa")
    assert job.state is JobState.QUEUED
    assert jobs.get(job.job_id).state is JobState.RUNNING


def test_the_second_of_two_concurrent_submissions_of_a_run_fails(
    jobs: JobStore, connection: psycopg.Connection, database_url: str
) -> None:
    with connected(database_url) as other, ThreadPoolExecutor(1) as executor:
        with connection.transaction():
            job_id = submit(jobs)
            second = executor.submit(submit, JobStore(other))
            while not is_waiting(connection, other.info.backend_pid):
                assert not second.done()
                time.sleep(0.01)
        with pytest.raises(Conflict, match="has not ended") as caught:
            second.result()
    assert caught.value.extra["job_id"] == job_id


def is_waiting(connection: psycopg.Connection, process: int) -> bool:
    """Whether a server process waits for a lock."""
    query = "select exists (select from pg_locks where not granted and pid = %s)"
    return connection.execute(query, [process]).fetchone() == (True,)


def test_an_error_of_the_queue_is_raised_as_an_error_of_the_database_driver(
    jobs: JobStore, connection: psycopg.Connection
) -> None:
    job_id = submit(jobs)
    for call in (lambda: submit(jobs, "r2"), lambda: jobs.cancel(job_id)):
        with connection.transaction(force_rollback=True):
            connection.execute("alter table procrastinate_jobs rename to elsewhere")
            with pytest.raises(psycopg.Error):
                call()


def test_a_job_is_stopped_also_while_its_process_starts(tmp_path: Path) -> None:
    begun = JobTask(
        job_id=1,
        pipeline="episode",
        source=str(tmp_path / "film.mkv"),
        asset_id="film",
        run_id="r1",
        request=JobRequest(asset_id="film"),
        tries=1,
        failures=0,
    )

    async def stop_after(after_s: float) -> None:
        process = JobProcess(Settings(home=tmp_path), begun, 1000)
        task = asyncio.create_task(process.run())
        await asyncio.sleep(after_s)
        for _ in range(3):
            task.cancel()
            await asyncio.sleep(0.05)
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not process._process.is_alive()

    for after_s in (0.0, 0.01, 0.1):
        asyncio.run(stop_after(after_s))


def test_a_worker_that_lost_the_queue_keeps_its_running_jobs(
    jobs: JobStore, connection: psycopg.Connection, workers: list[int]
) -> None:
    job_id = submit(jobs)
    fetch(connection, job_id, workers[0])
    jobs.begin(job_id, "one")
    expire_heartbeats(connection, workers[0])
    jobs.record_heartbeat([job_id], "one")
    assert jobs.abandoned(workers[1], SILENCE_S) == []
    assert jobs.cancel_requested([job_id]) == set()
    jobs.cancel(job_id)
    assert jobs.cancel_requested([job_id]) == {job_id}


def test_a_late_worker_does_not_end_a_job_that_another_took_over(
    jobs: JobStore, connection: psycopg.Connection, workers: list[int]
) -> None:
    job_id = submit(jobs)
    fetch(connection, job_id, workers[0])
    first = jobs.begin(job_id, "one")
    expire_heartbeats(connection, workers[0])
    (abandoned,) = jobs.abandoned(workers[1], SILENCE_S)
    assert jobs.take_over(abandoned, most_failures=5, died=FAILED) == "todo"
    fetch(connection, job_id, workers[1])
    second = jobs.begin(job_id, "two")
    assert first is not None
    assert second is not None
    jobs.end(job_id, FAILED, tries=first.tries)
    assert jobs.get(job_id).state is JobState.RUNNING
    jobs.end(job_id, DONE, tries=second.tries)
    assert jobs.get(job_id).state is JobState.SUCCEEDED


def test_only_one_of_two_workers_takes_over_a_job(
    jobs: JobStore, connection: psycopg.Connection, workers: list[int]
) -> None:
    job_id = submit(jobs)
    fetch(connection, job_id, workers[0])
    expire_heartbeats(connection, workers[0])
    (abandoned,) = jobs.abandoned(workers[1], SILENCE_S)
    assert jobs.take_over(abandoned, most_failures=5, died=FAILED) == "todo"
    fetch(connection, job_id, workers[2])
    assert jobs.take_over(abandoned, most_failures=5, died=FAILED) is None
    assert jobs.get(job_id).state is JobState.RUNNING
    row = connection.execute("select failures from pipeline.jobs").fetchone()
    assert row == (1,)


def test_a_job_whose_workers_died_too_often_is_ended(
    jobs: JobStore, connection: psycopg.Connection, workers: list[int]
) -> None:
    job_id = submit(jobs)
    for number in range(3):
        fetch(connection, job_id, workers[0])
        abandoned = AbandonedJob(job_id=job_id, worker_id=workers[0], is_own=False)
        became = jobs.take_over(abandoned, most_failures=3, died=FAILED)
        assert became == ("todo" if number < 2 else "aborted")
    assert jobs.get(job_id).state is JobState.FAILED


def test_a_cancellation_during_a_retry_still_ends_the_job(
    jobs: JobStore, connection: psycopg.Connection, workers: list[int]
) -> None:
    job_id = submit(jobs)
    fetch(connection, job_id, workers[0])
    assert jobs.begin(job_id, "one") is not None
    assert jobs.cancel(job_id).is_cancel_asked
    with connection.transaction():
        connection.execute(
            "select procrastinate_retry_job_v2(%s, now(), null, null, null)", [job_id]
        )
    assert jobs.end_orphans(SILENCE_S, STOPPED) == []  # the heartbeat of its worker is recent
    connection.execute("update pipeline.jobs set beat_at = now() - interval '1 hour'")
    assert jobs.end_orphans(SILENCE_S, STOPPED) == [job_id]
    assert jobs.get(job_id).state is JobState.CANCELLED


def test_a_job_with_a_requested_cancellation_is_ended_not_taken_over(
    jobs: JobStore, connection: psycopg.Connection, workers: list[int]
) -> None:
    job_id = submit(jobs)
    fetch(connection, job_id, workers[0])
    jobs.cancel(job_id)
    abandoned = AbandonedJob(job_id=job_id, worker_id=workers[0], is_own=False)
    assert jobs.take_over(abandoned, most_failures=5, died=STOPPED) == "aborted"
    assert jobs.get(job_id).state is JobState.CANCELLED


def test_a_worker_with_a_recent_heartbeat_keeps_its_jobs(
    jobs: JobStore, connection: psycopg.Connection, workers: list[int]
) -> None:
    job_id = submit(jobs)
    fetch(connection, job_id, workers[0])
    assert jobs.abandoned(workers[1], SILENCE_S) == []
    (own,) = jobs.abandoned(workers[0], SILENCE_S)
    assert (own.job_id, own.is_own) == (job_id, True)


def test_a_stream_that_fell_behind_the_buffer_must_read_the_logs(tmp_path: Path) -> None:
    run = FolderRun(tmp_path)
    watched = WatchedRun(run=run, reader=EventReader(run, []))
    lines = [LoggedLine(line=str(n), stage=0, end=n) for n in range(BUFFERED_LINES + 10)]
    watched.recent.extend(lines[10:])
    watched.first_number = 10
    assert watched.lines_from(9) is None
    assert watched.lines_from(10) == lines[10:]
    assert watched.lines_from(watched.next_number) == []


def test_reading_logs_in_parts_yields_every_line_once(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    stages = ["one", "two"]
    for number in range(50):
        moment = f"2026-01-01T00:00:{number:02d}"
        with (logs / f"{stages[number % 2]}.ndjson").open("a") as log:
            log.write(json.dumps({"at": moment, "n": number}) + "\n")
    run = FolderRun(tmp_path)
    numbers = []
    reader = EventReader(run, stages)
    while part := reader.read(200):
        numbers += [json.loads(logged.line)["n"] for logged in part]
    assert sorted(numbers) == list(range(50))
    whole = EventReader(run, stages).read(1 << 20)
    assert [json.loads(logged.line)["n"] for logged in whole] == list(range(50))


def test_unicode_line_separators_do_not_end_a_line_of_a_stream() -> None:
    text = 'event: log\ndata: {"a":"x\u2028y\u2029z\x85"}\nid: 1\n\n: still here\n\n'
    chunks = [text.encode()[number : number + 3] for number in range(0, 200, 3)]
    first, second = list(parse_events(split_lines(chunks)))
    assert first is not None
    assert first.data == {"a": "x\u2028y\u2029z\x85"}
    assert second is None
