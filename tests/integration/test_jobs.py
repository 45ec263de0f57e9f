"""Jobs in the database: whoever is late, early or gone, each ends once."""

import asyncio
import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from filmgate.api.live import KEPT, Channel
from filmgate.app.job_process import JobProcess, Work
from filmgate.app.settings import Settings
from filmgate.client.events import lines_of, read_events
from filmgate.core.errors import Conflict, NotFound
from filmgate.core.jobs import JobOutcome, JobRequest, JobState
from filmgate.db.connection import connected
from filmgate.db.jobs import Abandoned, Jobs
from filmgate.store.event_log import EventReader, LoggedLine
from filmgate.store.run_directory import FolderRun

DONE = JobOutcome(exit_code=0)
FAILED = JobOutcome(exit_code=1)
STOPPED = JobOutcome(exit_code=130)
SILENCE_S = 30.0


@pytest.fixture
def jobs(connection: psycopg.Connection) -> Jobs:
    stored = Jobs(connection)
    stored.prepare()
    stored.prepare()
    return stored


def submitted(jobs: Jobs, run_id: str = "r1") -> int:
    return jobs.submit(
        JobRequest(asset_id="film"),
        pipeline="episode",
        asset_id="film",
        run_id=run_id,
        source="/film",
        submitted_by="lisa",
    )


@pytest.fixture
def workers(connection: psycopg.Connection, jobs: Jobs) -> list[int]:
    """Three workers in the queue's own table."""
    insert = "insert into queue.procrastinate_workers default values returning id"
    rows = [connection.execute(insert).fetchone() for _ in range(3)]
    return [row[0] for row in rows if row is not None]


def fetch(connection: psycopg.Connection, job_id: int, worker_id: int) -> None:
    """What the queue does when a worker takes a job."""
    with connection.transaction():
        connection.execute("set local search_path = queue, public")
        connection.execute(
            "update procrastinate_jobs set status = 'doing', worker_id = %s where id = %s",
            [worker_id, job_id],
        )


def fall_silent(connection: psycopg.Connection, worker_id: int) -> None:
    connection.execute(
        "update queue.procrastinate_workers set last_heartbeat = now() - interval '1 hour'"
        " where id = %s",
        [worker_id],
    )
    connection.execute("update pipeline.jobs set beat_at = now() - interval '1 hour'")


def test_a_run_has_one_job_at_a_time(jobs: Jobs) -> None:
    job_id = submitted(jobs)
    with pytest.raises(Conflict, match="not over"):
        submitted(jobs)
    assert submitted(jobs, "r2") > job_id
    jobs.cancel(job_id)
    assert submitted(jobs) > job_id
    with pytest.raises(NotFound):
        jobs.get(10**6)


def test_of_two_who_submit_a_run_at_once_one_hears_of_the_other(
    jobs: Jobs, connection: psycopg.Connection, database_url: str
) -> None:
    with connected(database_url) as other, ThreadPoolExecutor(1) as second:
        with connection.transaction():
            job_id = submitted(jobs)
            asked = second.submit(submitted, Jobs(other))
            while not is_waiting(connection, other.info.backend_pid):
                assert not asked.done()
                time.sleep(0.01)
        with pytest.raises(Conflict, match="not over") as caught:
            asked.result()
    assert caught.value.extra["job_id"] == job_id


def is_waiting(connection: psycopg.Connection, process: int) -> bool:
    """Whether one waits for what another has not committed."""
    question = "select exists (select from pg_locks where not granted and pid = %s)"
    return connection.execute(question, [process]).fetchone() == (True,)


def test_a_queue_that_does_not_answer_is_told_in_the_words_of_the_database(
    jobs: Jobs, connection: psycopg.Connection
) -> None:
    job_id = submitted(jobs)
    for ask in (lambda: submitted(jobs, "r2"), lambda: jobs.cancel(job_id)):
        with connection.transaction(force_rollback=True):
            connection.execute("alter table queue.procrastinate_jobs rename to elsewhere")
            with pytest.raises(psycopg.Error):
                ask()


def test_a_job_that_is_stopped_while_its_process_begins_is_stopped(tmp_path: Path) -> None:
    work = Work(
        settings=Settings(home=tmp_path),
        pipeline="episode",
        source=str(tmp_path / "film.mkv"),
        asset_id="film",
        run_id="r1",
        request=JobRequest(asset_id="film"),
    )

    async def stop_at_once(after_s: float) -> None:
        process = JobProcess(work, 1000)
        task = asyncio.create_task(process.outcome())
        await asyncio.sleep(after_s)
        for _ in range(3):
            task.cancel()
            await asyncio.sleep(0.05)
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not process._process.is_alive()

    for after_s in (0.0, 0.01, 0.1):
        asyncio.run(stop_at_once(after_s))


def test_a_worker_that_lost_the_queue_keeps_the_jobs_that_it_is_at(
    jobs: Jobs, connection: psycopg.Connection, workers: list[int]
) -> None:
    job_id = submitted(jobs)
    fetch(connection, job_id, workers[0])
    jobs.begin(job_id, "one")
    fall_silent(connection, workers[0])
    jobs.beat([job_id], "one")
    assert jobs.abandoned(workers[1], SILENCE_S) == []
    assert jobs.cancel_asked([job_id]) == set()
    jobs.cancel(job_id)
    assert jobs.cancel_asked([job_id]) == {job_id}


def test_a_worker_that_comes_back_late_ends_nothing_that_another_has(
    jobs: Jobs, connection: psycopg.Connection, workers: list[int]
) -> None:
    job_id = submitted(jobs)
    fetch(connection, job_id, workers[0])
    first = jobs.begin(job_id, "one")
    fall_silent(connection, workers[0])
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


def test_of_two_who_take_over_one_is_first(
    jobs: Jobs, connection: psycopg.Connection, workers: list[int]
) -> None:
    job_id = submitted(jobs)
    fetch(connection, job_id, workers[0])
    fall_silent(connection, workers[0])
    (seen,) = jobs.abandoned(workers[1], SILENCE_S)
    assert jobs.take_over(seen, most_failures=5, died=FAILED) == "todo"
    fetch(connection, job_id, workers[2])
    assert jobs.take_over(seen, most_failures=5, died=FAILED) is None
    assert jobs.get(job_id).state is JobState.RUNNING
    row = connection.execute("select failures from pipeline.jobs").fetchone()
    assert row == (1,)


def test_a_job_that_is_the_death_of_its_workers_is_ended(
    jobs: Jobs, connection: psycopg.Connection, workers: list[int]
) -> None:
    job_id = submitted(jobs)
    for number in range(3):
        fetch(connection, job_id, workers[0])
        seen = Abandoned(job_id=job_id, worker_id=workers[0], is_mine=False)
        became = jobs.take_over(seen, most_failures=3, died=FAILED)
        assert became == ("todo" if number < 2 else "aborted")
    assert jobs.get(job_id).state is JobState.FAILED


def test_a_cancel_that_meets_a_retry_still_ends_the_job(
    jobs: Jobs, connection: psycopg.Connection, workers: list[int]
) -> None:
    job_id = submitted(jobs)
    fetch(connection, job_id, workers[0])
    assert jobs.begin(job_id, "one") is not None
    assert jobs.cancel(job_id).is_cancel_asked
    with connection.transaction():
        connection.execute("set local search_path = queue, public")
        connection.execute(
            "select procrastinate_retry_job_v2(%s, now(), null, null, null)", [job_id]
        )
    assert jobs.end_orphans(SILENCE_S, STOPPED) == []  # its worker was heard of just now
    connection.execute("update pipeline.jobs set beat_at = now() - interval '1 hour'")
    assert jobs.end_orphans(SILENCE_S, STOPPED) == [job_id]
    assert jobs.get(job_id).state is JobState.CANCELLED


def test_a_job_that_was_to_be_cancelled_is_not_taken_over(
    jobs: Jobs, connection: psycopg.Connection, workers: list[int]
) -> None:
    job_id = submitted(jobs)
    fetch(connection, job_id, workers[0])
    jobs.cancel(job_id)
    seen = Abandoned(job_id=job_id, worker_id=workers[0], is_mine=False)
    assert jobs.take_over(seen, most_failures=5, died=STOPPED) == "aborted"
    assert jobs.get(job_id).state is JobState.CANCELLED


def test_a_worker_that_is_heard_of_keeps_its_jobs(
    jobs: Jobs, connection: psycopg.Connection, workers: list[int]
) -> None:
    job_id = submitted(jobs)
    fetch(connection, job_id, workers[0])
    assert jobs.abandoned(workers[1], SILENCE_S) == []
    (mine,) = jobs.abandoned(workers[0], SILENCE_S)
    assert (mine.job_id, mine.is_mine) == (job_id, True)


def test_whoever_fell_behind_is_sent_to_the_logs(tmp_path: Path) -> None:
    run = FolderRun(tmp_path)
    channel = Channel(run=run, reader=EventReader(run, []))
    lines = [LoggedLine(line=str(n), stage=0, end=n) for n in range(KEPT + 10)]
    channel.recent.extend(lines[10:])
    channel.first = 10
    assert channel.since(9) is None
    assert channel.since(10) == lines[10:]
    assert channel.since(channel.next) == []


def test_a_place_in_the_logs_leads_on_to_the_very_next_line(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    stages = ["one", "two"]
    for number in range(50):
        moment = f"2026-01-01T00:00:{number:02d}"
        with (logs / f"{stages[number % 2]}.ndjson").open("a") as log:
            log.write(json.dumps({"at": moment, "n": number}) + "\n")
    run = FolderRun(tmp_path)
    told = []
    reader = EventReader(run, stages)
    while piece := reader.read(200):
        told += [json.loads(each.line)["n"] for each in piece]
    assert sorted(told) == list(range(50))
    whole = EventReader(run, stages).read(1 << 20)
    assert [json.loads(each.line)["n"] for each in whole] == list(range(50))


def test_signs_that_end_lines_elsewhere_end_none_in_a_stream() -> None:
    text = 'event: log\ndata: {"a":"x\u2028y\u2029z\x85"}\nid: 1\n\n: still here\n\n'
    pieces = [text.encode()[number : number + 3] for number in range(0, 200, 3)]
    first, second = list(read_events(lines_of(pieces)))
    assert first is not None
    assert first.data == {"a": "x\u2028y\u2029z\x85"}
    assert second is None
