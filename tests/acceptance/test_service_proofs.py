"""Robustness of the service: any input, dead workers, a dead database, large jobs."""

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
from support.served import LIGHT, Served, run_worker, served, until

SLOW = {"ocr.enabled": False, "pdf.enabled": False}
"""Settings of a run that is long enough to be killed during a stage."""


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return film_of_shots(tmp_path_factory.mktemp("film") / "film.mkv", [25, 25, 25])


@pytest.fixture
def service(tmp_path: Path, database_url: str) -> Iterator[Served]:
    """Run a service without a worker; workers without a heartbeat for two seconds are dead."""
    env = {"FILMGATE_DATABASE_URL": database_url, "FILMGATE_WORKER_SILENCE_S": "2"}
    with served(tmp_path / "home", "--workers", "0", **env) as running:
        yield running


def files_of(home: Path, asset: str, run_id: str) -> dict[str, bytes]:
    """Return the files of a run by name, without those that contain times or process ids."""
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
def test_another_worker_finishes_the_job_of_a_killed_worker_byte_for_byte(
    service: Served, film: Path, tmp_path: Path
) -> None:
    with service.client() as client:
        client.upload(film)
        job = client.run("episode", asset_id="film", run_id="r1", settings=SLOW)
        with run_worker(service) as doomed:
            until(lambda: client.job(job.job_id).state is JobState.RUNNING)
            until(lambda: client.status("film").stages["scenes"].status == "SUCCESS")
            doomed.kill()
            doomed.wait()
        assert client.job(job.job_id).state is JobState.RUNNING
        with run_worker(service):
            ended = client.wait(job, 60)
        assert ended.state is JobState.SUCCEEDED
        assert ended.tries == 2
    alone = Filmgate(tmp_path / "alone", is_light=False)
    video = service.home / "uploads" / "film" / "film.mkv"
    sets = [part for name in SLOW for part in ("--set", f"{name}=false")]
    alone.json("run", "episode", video, "--run-id", "r1", "--no-ingest", *sets)
    assert files_of(service.home, "film", "r1") == files_of(alone.home, "film", "r1")


@pytest.mark.proof
def test_a_worker_that_is_stopped_hands_its_job_back(service: Served, film: Path) -> None:
    with service.client() as client:
        client.upload(film)
        job = client.run("episode", asset_id="film", settings=SLOW)
        with run_worker(service, FILMGATE_WORKER_GRACE_S="0") as stopped:
            until(lambda: client.status("film").is_at_work)
            stopped.terminate()
            assert stopped.wait(30) == 0
        back = client.job(job.job_id)
        assert back.state is JobState.QUEUED
        assert not client.status("film").is_at_work
        with run_worker(service, "--drain") as other:
            assert other.wait(60) == 0
        assert client.job(job.job_id).state is JobState.SUCCEEDED


@pytest.mark.proof
def test_a_job_that_is_cancelled_while_its_worker_waits_to_stop_ends(
    service: Served, film: Path
) -> None:
    with service.client() as client:
        client.upload(film)
        job = client.run("episode", asset_id="film", settings={"ocr.enabled": False})
        with run_worker(service, FILMGATE_WORKER_GRACE_S="2") as patient:
            until(lambda: client.status("film").is_at_work)
            patient.terminate()
            client.cancel(job.job_id)
            assert patient.wait(30) == 0
        with run_worker(service):
            ended = until(lambda: (now := client.job(job.job_id)).state.is_over and now)
        assert ended.state in {JobState.CANCELLED, JobState.SUCCEEDED}
        assert client.run("episode", asset_id="film", new=True, settings=LIGHT).job_id


@pytest.mark.nightly
def test_a_draining_worker_leaves_no_job(service: Served, film: Path) -> None:
    with service.client() as client:
        client.upload(film)
        request = {"asset_id": "film", "new": True, "settings": LIGHT}
        jobs = [client.run("episode", **request) for _ in range(5)]
        with run_worker(
            service, "--drain", "--concurrency", "2", FILMGATE_WORKER_GRACE_S="0"
        ) as busy:
            assert busy.wait(60) == 0
        assert {client.job(job.job_id).state for job in jobs} == {JobState.SUCCEEDED}


@pytest.mark.proof
def test_a_job_that_exceeds_its_memory_limit_fails_alone_with_that_error(
    service: Served, film: Path
) -> None:
    with service.client() as client:
        client.upload(film)
        client.upload(film, "modest")
        greedy = client.run("episode", asset_id="film", settings={"pdf.enabled": False})
        modest = client.run("episode", asset_id="modest", settings=LIGHT)
        with run_worker(service, "--concurrency", "2", FILMGATE_JOB_MEMORY_MB="250"):
            ended = client.wait(greedy, 60)
            other = client.wait(modest, 60)
    assert ended.state is JobState.FAILED
    assert ended.outcome is not None
    assert ended.outcome.error is not None
    assert "exceeded its memory limit" in ended.outcome.error["message"]
    assert other.state is JobState.SUCCEEDED


def have_ended(client: Client, count: int) -> bool:
    """Whether at least `count` jobs have ended."""
    return sum(1 for job in client.jobs() if job.state.is_over) >= count


@pytest.mark.nightly
def test_every_job_is_executed_exactly_once_although_workers_are_killed(
    service: Served, film: Path
) -> None:
    names = [f"film-{number:02d}" for number in range(16)]
    with service.client() as client:
        for name in names:
            client.upload(film, name)
        jobs = [client.run("episode", asset_id=name, settings=LIGHT) for name in names]
        for number in range(3):
            with run_worker(service, "--concurrency", "2") as doomed:
                until(partial(have_ended, client, 2 * (number + 1)))
                doomed.kill()
                doomed.wait()
        with run_worker(service, "--concurrency", "2"):
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
    pid_file = folder / "cluster" / "data" / "postmaster.pid"
    os.kill(int(pid_file.read_text().split()[0]), signal.SIGKILL)


@pytest.mark.nightly
def test_an_embedded_database_that_is_killed_is_restarted(tmp_path: Path, film: Path) -> None:
    env = {"FILMGATE_WORKER_SILENCE_S": "2"}
    with served(tmp_path / "home", **env) as service, service.client() as client:
        client.upload(film)
        kill_server(service.home / "pg")
        job = until(lambda: submit_if_available(client, new=True))
        assert client.wait(job, 60).state is JobState.SUCCEEDED


@pytest.mark.nightly
def test_an_embedded_database_whose_files_are_missing_is_not_created_again(
    tmp_path: Path, film: Path
) -> None:
    with served(tmp_path / "home", "--workers", "0") as service, service.http() as http:
        data = service.home / "pg" / "cluster" / "data"
        kill_server(service.home / "pg")
        data.rename(tmp_path / "moved")
        until(lambda: http.get("/readyz").status_code == 503)
        assert http.get("/v1/videos").status_code == 503
        assert not data.exists()
        (tmp_path / "moved").rename(data)
        until(lambda: http.get("/readyz").status_code == 200)


def submit_if_available(client: Client, **options: Any) -> JobAnswer | None:
    try:
        return client.run("episode", asset_id="film", settings=LIGHT, **options)
    except Unavailable:
        return None


@pytest.mark.proof
def test_the_service_recovers_from_a_database_that_is_killed_under_load(
    tmp_path: Path, film: Path
) -> None:
    """It answers 503 with Retry-After meanwhile, and loses no accepted job."""
    server = EmbeddedPostgres(tmp_path / "pg")
    env = {"FILMGATE_WORKER_SILENCE_S": "2", "FILMGATE_RATE_PER_S": "0"}
    env["FILMGATE_DATABASE_URL"] = server.keep()
    statuses: Counter[int] = Counter()
    unavailable: list[httpx.Response] = []
    accepted: list[int] = []
    stop = threading.Event()
    with served(tmp_path / "home", **env) as service:
        with service.client() as client:
            client.upload(film)
            client.wait(client.run("episode", asset_id="film", settings=LIGHT), 60)

        def query() -> None:
            with service.http() as http:
                while not stop.is_set():
                    response = http.get("/v1/videos/film/jump?kind=scene")
                    statuses[response.status_code] += 1
                    if response.status_code == 503:
                        unavailable.append(response)

        def submit() -> None:
            with service.http() as http:
                while not stop.is_set():
                    request = {"asset_id": "film", "new": True, "settings": LIGHT}
                    response = http.post("/jobs/episode-run", json=request)
                    statuses[response.status_code] += 1
                    if response.status_code == 202:
                        accepted.append(response.json()["job_id"])
                    time.sleep(0.3)

        threads = [threading.Thread(target=target) for target in (query, query, submit)]
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
        assert set(statuses) <= {200, 202, 503}, statuses
        assert unavailable
        assert all(int(response.headers["retry-after"]) >= 1 for response in unavailable)
        assert all(response.json()["error"] == "unavailable" for response in unavailable)
        with service.http() as http:
            until(lambda: http.get("/readyz").status_code == 200)
        with service.client() as client:
            assert client.jump("film", "scene").artifact.span_start_ms == 0
            until(lambda: all(job.state.is_over for job in client.jobs()), 120)
            jobs = {job.job_id: job for job in client.jobs()}
        assert set(accepted) <= set(jobs)
        assert {job.state for job in jobs.values()} == {JobState.SUCCEEDED}
    assert server.stop()


@pytest.mark.nightly
def test_two_hundred_streams_of_a_run_receive_the_same_events(service: Served, film: Path) -> None:
    process = psutil.Process(service.process.pid)
    with service.client() as client:
        client.upload(film)
        job = client.run("episode", asset_id="film", settings=SLOW)
    before = process.memory_info().rss

    async def follow(http: httpx.AsyncClient) -> str:
        path = f"/episodes/film/runs/{job.run_id}/events"
        async with http.stream("GET", path) as response:
            return "".join([text async for text in response.aiter_text()])

    async def follow_all() -> list[str]:
        headers = {"authorization": f"Bearer {service.token}"}
        limits = httpx.Limits(max_connections=250)
        async with httpx.AsyncClient(
            base_url=service.url, headers=headers, timeout=120, limits=limits
        ) as http:
            streams = [asyncio.create_task(follow(http)) for _ in range(200)]
            await asyncio.sleep(3)
            with run_worker(service):
                return await asyncio.gather(*streams)

    texts = asyncio.run(follow_all())
    ids = [[line for line in text.splitlines() if line.startswith("id: ")] for text in texts]
    assert len(set(map(tuple, ids))) == 1
    assert all(text.rstrip().rpartition("\n\n")[2].startswith("event: end") for text in texts)
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
def test_every_response_matches_the_description(case):
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
def test_every_endpoint_matches_its_description_on_generated_input(
    tmp_path: Path, database_url: str, film: Path, examples: int
) -> None:
    """Schemathesis runs in a process of its own, so that its warnings are not ours."""
    env = {"FILMGATE_DATABASE_URL": database_url, "FILMGATE_RATE_PER_S": "0"}
    with served(tmp_path / "home", **env) as service:
        with service.client() as client:
            client.upload(film)
            done = client.wait(client.run("episode", asset_id="film", settings=LIGHT), 60)
            assert isinstance(done, JobAnswer)
        (tmp_path / "test_schema.py").write_text(SCHEMA_TEST)
        test_env = {"SERVED_AT": service.url, "SERVED_TO": service.token}
        run = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_schema.py"],
            cwd=tmp_path,
            env={**os.environ, **test_env, "SERVED_EXAMPLES": str(examples)},
            capture_output=True,
            text=True,
            check=False,
            timeout=1500,
        )
        assert run.returncode == 0, run.stdout[-6000:]
        assert "passed" in run.stdout
        assert "Traceback" not in service.read_log()


FUZZING = """
continue-on-failure = true
request-timeout = 30
suppress-health-check = ["all"]
seed = 1

[checks.negative_data_rejection]
expected-statuses = [400, 401, 403, 404, 405, 408, 409, 413, 415, 429, 431]

# A cursor of another query, or options that cannot be combined, are valid by the description.
[checks.positive_data_acceptance]
enabled = false
"""

FUZZED_S = 60
"""Duration of the fuzzing, in seconds."""


@pytest.mark.proof
def test_fuzzing_finds_no_response_that_the_description_excludes(
    tmp_path: Path, database_url: str, film: Path
) -> None:
    """Schemathesis makes valid and invalid requests and sequences of requests. It checks statuses,
    bodies, methods, and that invalid requests and requests without a token are refused."""
    env = {"FILMGATE_DATABASE_URL": database_url, "FILMGATE_RATE_PER_S": "0"}
    with served(tmp_path / "home", "--workers", "0", **env) as service:
        with service.client() as client:
            client.upload(film)
            client.run("episode", asset_id="film", settings=LIGHT)
            with run_worker(service, "--drain") as worker:
                assert worker.wait(60) == 0
        config = tmp_path / "schemathesis.toml"
        config.write_text(FUZZING)
        command = [sys.executable, "-m", "schemathesis.cli", "--no-color"]
        command += ["--config-file", str(config), "run", f"{service.url}/openapi.json"]
        command += ["--header", f"Authorization: Bearer {service.token}"]
        command += ["--phases", "examples,coverage,fuzzing,stateful", "--max-time", str(FUZZED_S)]
        # Streams do not end; the others would end the session or the token of the requests.
        command += [
            "--exclude-path-regex",
            "events$|^/v1/session$|^/v1/tokens/",
            "--warnings",
            "off",
        ]
        run = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300
        )
        assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-2000:]
        assert "No issues found" in run.stdout
        assert "Fuzzing" in run.stdout
        assert "Traceback" not in service.read_log()
