"""What the service withstands: any input, dead workers, a dead database, greedy jobs."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
import pytest

from filmgate.client import Client
from filmgate.core.errors import Unavailable
from filmgate.core.jobs import JobAnswer, JobState
from filmgate.db.embedded import EmbeddedPostgres
from support.command import Filmgate
from support.films import film_of_shots
from support.served import LIGHT, Served, served, until, worker

SLOW = {"ocr.enabled": False, "pdf.enabled": False}
"""Long enough to be killed in the middle."""


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return film_of_shots(tmp_path_factory.mktemp("film") / "film.mkv", [25, 25, 25])


@pytest.fixture
def service(tmp_path: Path, database_url: str) -> Iterator[Served]:
    """Without a worker; and who is silent for two seconds has died."""
    told = {"FILMGATE_DATABASE_URL": database_url, "FILMGATE_WORKER_SILENCE_S": "2"}
    with served(tmp_path / "home", "--workers", "0", **told) as running:
        yield running


def files_of(home: Path, asset: str, run_id: str) -> dict[str, bytes]:
    """What a run made, by name; without what tells of clocks and processes."""
    run = home / "manifests" / asset / "runs" / run_id
    return {
        str(path.relative_to(run)): path.read_bytes()
        for path in sorted(run.rglob("*"))
        if path.is_file()
        and path.relative_to(run).parts[0] not in {"commits", "attempts", "logs"}
        and path.suffix != ".lock"
        and path.name not in {"run.json", "manifest.json", "status.json", "lease.json"}
    }


@pytest.mark.proof
def test_a_job_whose_worker_is_killed_in_a_stage_is_finished_by_another_byte_for_byte(
    service: Served, film: Path, tmp_path: Path
) -> None:
    with service.client() as client:
        client.upload(film)
        job = client.run("episode", asset_id="film", run_id="r1", settings=SLOW)
        with worker(service) as doomed:
            until(lambda: client.job(job.job_id).state is JobState.RUNNING)
            until(lambda: client.status("film").stages["scenes"].status == "SUCCESS")
            doomed.kill()
            doomed.wait()
        assert client.job(job.job_id).state is JobState.RUNNING
        with worker(service):
            ended = client.wait(job, 60)
        assert ended.state is JobState.SUCCEEDED
        assert ended.tries == 2
    alone = Filmgate(tmp_path / "alone", is_light=False)
    video = service.home / "uploads" / "film" / "film.mkv"
    sets = [part for name in SLOW for part in ("--set", f"{name}=false")]
    alone.json("run", "episode", video, "--run-id", "r1", "--no-ingest", *sets)
    assert files_of(service.home, "film", "r1") == files_of(alone.home, "film", "r1")


@pytest.mark.proof
def test_a_worker_that_is_asked_to_stop_hands_its_job_back(service: Served, film: Path) -> None:
    with service.client() as client:
        client.upload(film)
        job = client.run("episode", asset_id="film", settings=SLOW)
        with worker(service, FILMGATE_WORKER_GRACE_S="0") as polite:
            until(lambda: client.status("film").is_at_work)
            polite.terminate()
            assert polite.wait(30) == 0
        back = client.job(job.job_id)
        assert back.state is JobState.QUEUED
        assert not client.status("film").is_at_work
        with worker(service, "--drain") as other:
            assert other.wait(60) == 0
        assert client.job(job.job_id).state is JobState.SUCCEEDED


@pytest.mark.proof
def test_a_job_that_is_cancelled_while_its_worker_waits_to_stop_is_over(
    service: Served, film: Path
) -> None:
    with service.client() as client:
        client.upload(film)
        job = client.run("episode", asset_id="film", settings={"ocr.enabled": False})
        with worker(service, FILMGATE_WORKER_GRACE_S="2") as patient:
            until(lambda: client.status("film").is_at_work)
            patient.terminate()
            client.cancel(job.job_id)
            assert patient.wait(30) == 0
        with worker(service):
            ended = until(lambda: (now := client.job(job.job_id)).state.is_over and now)
        assert ended.state in {JobState.CANCELLED, JobState.SUCCEEDED}
        assert client.run("episode", asset_id="film", new=True, settings=LIGHT).job_id


@pytest.mark.nightly
def test_workers_that_drain_leave_no_job(service: Served, film: Path) -> None:
    with service.client() as client:
        client.upload(film)
        asked = {"asset_id": "film", "new": True, "settings": LIGHT}
        jobs = [client.run("episode", **asked) for _ in range(5)]
        with worker(service, "--drain", "--concurrency", "2", FILMGATE_WORKER_GRACE_S="0") as busy:
            assert busy.wait(60) == 0
        assert {client.job(job.job_id).state for job in jobs} == {JobState.SUCCEEDED}


@pytest.mark.proof
def test_a_job_that_takes_too_much_memory_ends_alone_and_says_so(
    service: Served, film: Path
) -> None:
    with service.client() as client:
        client.upload(film)
        client.upload(film, "modest")
        greedy = client.run("episode", asset_id="film", settings={"pdf.enabled": False})
        modest = client.run("episode", asset_id="modest", settings=LIGHT)
        with worker(service, "--concurrency", "2", FILMGATE_JOB_MEMORY_MB="250"):
            ended = client.wait(greedy, 60)
            other = client.wait(modest, 60)
    assert ended.state is JobState.FAILED
    assert ended.outcome is not None
    assert ended.outcome.error is not None
    assert "more memory than it may" in ended.outcome.error["message"]
    assert other.state is JobState.SUCCEEDED


def some_are_over(client: Client, wanted: int) -> bool:
    return sum(1 for job in client.jobs() if job.state.is_over) >= wanted


@pytest.mark.nightly
def test_of_many_jobs_none_is_lost_and_none_done_twice_though_workers_are_killed(
    service: Served, film: Path
) -> None:
    names = [f"film-{number:02d}" for number in range(16)]
    with service.client() as client:
        for name in names:
            client.upload(film, name)
        jobs = [client.run("episode", asset_id=name, settings=LIGHT) for name in names]
        for number in range(3):
            with worker(service, "--concurrency", "2") as doomed:
                wanted = 2 * (number + 1)
                until(partial(some_are_over, client, wanted))
                doomed.kill()
                doomed.wait()
        with worker(service, "--concurrency", "2"):
            until(lambda: all(job.state.is_over for job in client.jobs()), 180)
        ended = list(client.jobs())
    assert Counter(job.job_id for job in ended) == Counter(job.job_id for job in jobs)
    assert {job.state for job in ended} == {JobState.SUCCEEDED}
    with psycopg.connect(service.env["FILMGATE_DATABASE_URL"]) as connection:
        row = connection.execute("select count(*) from pipeline.inbox").fetchone()
    assert row == (len(names),)
    for name in names:
        runs = list((service.home / "manifests" / name / "runs").glob("Attempt*"))
        assert len(runs) == 1
        records = (runs[0] / "commits").glob("scenes.*")
        ends = [json.loads(record.read_text())["status"] for record in records]
        assert ends.count("SUCCESS") == 1


def kill_server(folder: Path) -> None:
    note = folder / "cluster" / "data" / "postmaster.pid"
    os.kill(int(note.read_text().split()[0]), signal.SIGKILL)


@pytest.mark.nightly
def test_an_embedded_database_that_is_killed_is_started_again(tmp_path: Path, film: Path) -> None:
    told = {"FILMGATE_WORKER_SILENCE_S": "2"}
    with served(tmp_path / "home", **told) as service, service.client() as client:
        client.upload(film)
        kill_server(service.home / "pg")
        job = until(lambda: submitted(client, new=True))
        assert client.wait(job, 60).state is JobState.SUCCEEDED


@pytest.mark.nightly
def test_an_embedded_database_that_is_gone_is_not_made_anew(tmp_path: Path, film: Path) -> None:
    with served(tmp_path / "home", "--workers", "0") as service, service.http() as http:
        data = service.home / "pg" / "cluster" / "data"
        kill_server(service.home / "pg")
        data.rename(tmp_path / "taken")
        until(lambda: http.get("/readyz").status_code == 503)
        assert http.get("/v1/videos").status_code == 503
        assert not data.exists()
        (tmp_path / "taken").rename(data)
        until(lambda: http.get("/readyz").status_code == 200)


def submitted(client: Client, **asked: Any) -> JobAnswer | None:
    try:
        return client.run("episode", asset_id="film", settings=LIGHT, **asked)
    except Unavailable:
        return None


@pytest.mark.proof
def test_a_database_that_is_killed_under_load_is_missed_and_then_all_is_well(
    tmp_path: Path, film: Path
) -> None:
    """503 with Retry-After while it is away; nothing that was answered is lost."""
    server = EmbeddedPostgres(tmp_path / "pg")
    told = {"FILMGATE_WORKER_SILENCE_S": "2", "FILMGATE_RATE_PER_S": "0"}
    told["FILMGATE_DATABASE_URL"] = server.keep()
    seen: Counter[int] = Counter()
    late: list[httpx.Response] = []
    answered: list[int] = []
    stop = threading.Event()
    with served(tmp_path / "home", **told) as service:
        with service.client() as client:
            client.upload(film)
            client.wait(client.run("episode", asset_id="film", settings=LIGHT), 60)

        def ask() -> None:
            with service.http() as http:
                while not stop.is_set():
                    response = http.get("/v1/videos/film/jump?kind=scene")
                    seen[response.status_code] += 1
                    if response.status_code == 503:
                        late.append(response)

        def submit() -> None:
            with service.http() as http:
                while not stop.is_set():
                    asked = {"asset_id": "film", "new": True, "settings": LIGHT}
                    response = http.post("/jobs/episode-run", json=asked)
                    seen[response.status_code] += 1
                    if response.status_code == 202:
                        answered.append(response.json()["job_id"])
                    time.sleep(0.3)

        threads = [threading.Thread(target=each) for each in (ask, ask, submit)]
        for thread in threads:
            thread.start()
        time.sleep(1.5)
        kill_server(tmp_path / "pg")
        time.sleep(5)
        server.keep()
        time.sleep(2)
        stop.set()
        for thread in threads:
            thread.join()
        assert set(seen) <= {200, 202, 503}, seen
        assert late
        assert all(int(each.headers["retry-after"]) >= 1 for each in late)
        assert all(each.json()["error"] == "unavailable" for each in late)
        with service.http() as http:
            until(lambda: http.get("/readyz").status_code == 200)
        with service.client() as client:
            assert client.jump("film", "scene").artifact.span_start_ms == 0
            until(lambda: all(job.state.is_over for job in client.jobs()), 120)
            jobs = {job.job_id: job for job in client.jobs()}
        assert set(answered) <= set(jobs)
        assert {job.state for job in jobs.values()} == {JobState.SUCCEEDED}
    assert server.stop()


@pytest.mark.nightly
def test_two_hundred_streams_are_open_while_a_run_goes_on(service: Served, film: Path) -> None:
    process = psutil.Process(service.process.pid)
    with service.client() as client:
        client.upload(film)
        job = client.run("episode", asset_id="film", settings=SLOW)
    before = process.memory_info().rss

    async def follow(http: httpx.AsyncClient) -> str:
        path = f"/episodes/film/runs/{job.run_id}/events"
        async with http.stream("GET", path) as response:
            return "".join([text async for text in response.aiter_text()])

    async def everybody() -> list[str]:
        headers = {"authorization": f"Bearer {service.token}"}
        limits = httpx.Limits(max_connections=250)
        async with httpx.AsyncClient(
            base_url=service.url, headers=headers, timeout=120, limits=limits
        ) as http:
            watching = [asyncio.create_task(follow(http)) for _ in range(200)]
            await asyncio.sleep(3)
            with worker(service):
                return await asyncio.gather(*watching)

    told = asyncio.run(everybody())
    logs = [[line for line in text.splitlines() if line.startswith("id: ")] for text in told]
    assert len(set(map(tuple, logs))) == 1
    assert all(text.rstrip().rpartition("\n\n")[2].startswith("event: end") for text in told)
    grown_mb = (process.memory_info().rss - before) / 1e6
    assert grown_mb < 100, f"{grown_mb:.0f} MB for 200 streams"


SCHEMA_TEST = """
import os

import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

URL, TOKEN = os.environ["SERVED_AT"], os.environ["SERVED_TO"]
HEADERS = {"Authorization": f"Bearer {TOKEN}"}
schema = schemathesis.openapi.from_url(f"{URL}/openapi.json", headers=HEADERS)


@schema.exclude(path_regex="events$").exclude(path="/v1/session", method="DELETE").parametrize()
@settings(
    max_examples=int(os.environ["SERVED_EXAMPLES"]),
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
def test_no_input_breaks_it(case):
    response = case.call(headers=HEADERS, timeout=30, allow_redirects=False)
    case.validate_response(
        response,
        checks=[
            not_a_server_error,
            status_code_conformance,
            content_type_conformance,
            response_schema_conformance,
        ],
    )
"""


@pytest.mark.proof
@pytest.mark.parametrize(
    "examples", [4, pytest.param(300, marks=pytest.mark.nightly)], ids=["short", "long"]
)
def test_every_endpoint_keeps_to_its_description_on_generated_input(
    tmp_path: Path, database_url: str, film: Path, examples: int
) -> None:
    """Schemathesis, in a process of its own: its warnings are not ours."""
    told = {"FILMGATE_DATABASE_URL": database_url, "FILMGATE_RATE_PER_S": "0"}
    with served(tmp_path / "home", **told) as service:
        with service.client() as client:
            client.upload(film)
            done = client.wait(client.run("episode", asset_id="film", settings=LIGHT), 60)
            assert isinstance(done, JobAnswer)
        (tmp_path / "test_schema.py").write_text(SCHEMA_TEST)
        env = {"SERVED_AT": service.url, "SERVED_TO": service.token}
        run = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_schema.py"],
            cwd=tmp_path,
            env={**os.environ, **env, "SERVED_EXAMPLES": str(examples)},
            capture_output=True,
            text=True,
            check=False,
            timeout=1500,
        )
        assert run.returncode == 0, run.stdout[-6000:]
        assert "passed" in run.stdout
        assert "Traceback" not in service.told()
