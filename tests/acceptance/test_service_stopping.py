"""A stop of the service: jobs return to the queue, and open connections end in time."""

import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from filmgate.api.server import SHUTDOWN_S
from filmgate.core.jobs import JobState
from support.films import film_of_shots
from support.served import LIGHT, PATIENCE_S, Served, run_worker, served, until

pytestmark = pytest.mark.proof

SLOW = {"ocr.enabled": False, "pdf.enabled": False}
"""Settings of a run that lasts longer than the worker waits for it."""

GRACE_S = 1
"""Time that the workers of these tests wait for their jobs, in seconds."""

LARGE_BYTES = 40_000_000
"""Size of a file that socket buffers cannot hold."""

MARGIN_S = 2.0
"""Time that a busy machine may take to notice the end of a connection, in seconds."""


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return film_of_shots(tmp_path_factory.mktemp("film") / "film.mkv", [25] * 60)


@pytest.fixture
def env(database_url: str) -> dict[str, str]:
    return {
        "FILMGATE_DATABASE_URL": database_url,
        "FILMGATE_WORKER_SILENCE_S": "2",
        "FILMGATE_WORKER_GRACE_S": str(GRACE_S),
    }


def failures_of_job(database_url: str, job_id: int) -> int:
    """Return the number of failed attempts that count towards `FILMGATE_JOB_TRIES`."""
    with psycopg.connect(database_url) as connection:
        row = connection.execute("select failures from jobs where job_id = %s", [job_id]).fetchone()
    assert row is not None
    return int(row[0])


def failed_attempts(home: Path) -> list[dict[str, object]]:
    """Return the errors of all stage attempts that failed other than by an interruption."""
    records = home.glob("manifests/*/runs/*/commits/*.json")
    ends = [json.loads(record.read_text()) for record in records]
    errors = [end["error"] for end in ends if end["status"] == "FAILED"]
    return [error for error in errors if error["code"] != "interrupted"]


def assert_handed_back(service: Served, database_url: str, job_id: int) -> None:
    with psycopg.connect(database_url) as connection:
        row = connection.execute(
            "select status from procrastinate_jobs where id = %s", [job_id]
        ).fetchone()
    assert row == ("todo",)
    assert failures_of_job(database_url, job_id) == 0
    assert failed_attempts(service.home) == []


def test_a_signal_to_the_process_group_of_a_worker_hands_its_job_back_without_a_failure(
    tmp_path: Path, env: dict[str, str], database_url: str, film: Path
) -> None:
    with (
        served(tmp_path / "home", "--workers", "0", **env) as service,
        service.client() as client,
    ):
        client.upload(film)
        job = client.run("episode", asset_id="film", settings=SLOW)
        with run_worker(service) as stopped:
            until(lambda: client.status("film").is_at_work)
            os.killpg(stopped.pid, signal.SIGTERM)
            assert stopped.wait(PATIENCE_S) == 0
        assert_handed_back(service, database_url, job.job_id)
        with run_worker(service, "--drain") as other:
            assert other.wait(120) == 0
        ended = client.job(job.job_id)
        assert ended.state is JobState.SUCCEEDED
        assert ended.tries == 2


def test_a_signal_to_the_process_group_of_the_service_hands_its_job_back_once(
    tmp_path: Path, env: dict[str, str], database_url: str, film: Path
) -> None:
    """The service starts no other worker while it stops."""
    with served(tmp_path / "home", **env) as service:
        with service.client() as client:
            client.upload(film)
            job = client.run("episode", asset_id="film", settings=SLOW)
            until(lambda: client.status("film").is_at_work)
            stream = open_stream(service, f"/episodes/film/runs/{job.run_id}/events")
        with stream:  # nobody reads it, so that the server takes its full time to stop
            os.killpg(service.process.pid, signal.SIGTERM)
            assert service.process.wait(PATIENCE_S) == 0
        assert_handed_back(service, database_url, job.job_id)
        assert service.read_log().count("Ready: 1 job") == 1
    with psycopg.connect(database_url) as connection:
        assert connection.execute("select tries from jobs").fetchone() == (1,)


def test_a_signal_to_every_process_of_a_worker_hands_its_job_back_without_a_failure(
    tmp_path: Path, env: dict[str, str], database_url: str, film: Path
) -> None:
    """As service managers do that signal a whole control group."""
    with (
        served(tmp_path / "home", "--workers", "0", **env) as service,
        service.client() as client,
    ):
        client.upload(film)
        job = client.run("episode", asset_id="film", settings=SLOW)
        with run_worker(service) as stopped:
            until(lambda: client.status("film").is_at_work)
            for process in processes_of(stopped.pid):
                os.kill(process, signal.SIGTERM)
            assert stopped.wait(PATIENCE_S) == 0
        assert_handed_back(service, database_url, job.job_id)


def processes_of(pid: int) -> list[int]:
    """Return a process and all its descendants."""
    process = psutil.Process(pid)
    return [process.pid, *(child.pid for child in process.children(recursive=True))]


def send_head(service: Served, head: str) -> socket.socket:
    """Open a connection and send text of a request head, with the admin's token."""
    connection = socket.create_connection(("127.0.0.1", service.port))
    connection.sendall(head.replace("TOKEN", service.token).encode())
    return connection


def open_stream(service: Served, path: str) -> socket.socket:
    head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer TOKEN\r\n\r\n"
    return send_head(service, head)


UNFINISHED = {
    "nothing": "",
    "a part of a head": "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nx: ",
    "a part of a second head": (
        "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\nGET /healthz HTTP/1.1\r\nHo"
    ),
    "a part of an upload": (
        "POST /v1/videos?filename=other.mkv HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        "Content-Type: application/octet-stream\r\nAuthorization: Bearer TOKEN\r\n"
        "Content-Length: 1000000\r\n\r\nabc"
    ),
    "a part of a small body": (
        "POST /jobs/episode-run HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        'Authorization: Bearer TOKEN\r\nContent-Length: 100\r\n\r\n{"a'
    ),
    "a part of a chunk": (
        "POST /jobs/episode-run HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        'Authorization: Bearer TOKEN\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{"a'
    ),
}


@pytest.fixture
def waiting(tmp_path: Path, env: dict[str, str], film: Path) -> Iterator[Served]:
    """A service that waits for its worker to stop: the worker is suspended."""
    with served(tmp_path / "home", **env) as service:
        with service.client() as client:
            client.upload(film)
            client.run("episode", asset_id="film", settings=LIGHT)
            until(lambda: client.status("film").is_at_work)
        (worker,) = psutil.Process(service.process.pid).children()
        worker.suspend()
        try:
            yield service
        finally:
            worker.resume()


def open_ports(service: Served) -> set[int]:
    """Return the clients' ports of the connections that the service has open."""
    return {
        found.raddr.port
        for found in psutil.Process(service.process.pid).net_connections("tcp")
        if found.status == psutil.CONN_ESTABLISHED and found.laddr.port == service.port
    }


def test_unfinished_requests_and_unread_responses_end_in_time_when_the_service_stops(
    waiting: Served, film: Path
) -> None:
    """The process itself runs on, because its worker has not stopped."""
    with waiting.http() as http:
        body = film.read_bytes() + bytes(LARGE_BYTES)
        http.post("/v1/videos?filename=large.mkv", content=body).raise_for_status()
        run_id = http.get("/episodes/film/status").json()["run_id"]
    connections = {name: send_head(waiting, head) for name, head in UNFINISHED.items()}
    connections["a stream"] = open_stream(waiting, f"/episodes/film/runs/{run_id}/events")
    connections["an unread download"] = open_stream(waiting, "/v1/videos/large/media")
    port_of = {name: each.getsockname()[1] for name, each in connections.items()}
    time.sleep(1)
    assert open_ports(waiting) >= set(port_of.values())
    assert connections["an unread download"].recv(15, socket.MSG_PEEK) == b"HTTP/1.1 200 OK"
    assert connections["a stream"].recv(15, socket.MSG_PEEK) == b"HTTP/1.1 200 OK"
    os.killpg(waiting.process.pid, signal.SIGTERM)
    time.sleep(SHUTDOWN_S + MARGIN_S)
    assert waiting.process.poll() is None
    still_open = {name for name, port in port_of.items() if port in open_ports(waiting)}
    for connection in connections.values():
        connection.close()
    assert still_open == set()
