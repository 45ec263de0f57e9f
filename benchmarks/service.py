"""The HTTP service, compared with the limit of its web server and database connections.

    python benchmarks/service.py [--artifacts 1000000] [--jobs 1000] [--write]

Jump and find over HTTP at 50 requests per second: the time of each response from the moment at
which its request was due. Then the maximum rate on four connections, alternating with the same web
server and connection pool with one `select 1` per request. Memory with two hundred event streams
during a run. Jobs that are queued, executed by a worker that is killed once, and counted.
"""

import argparse
import http.client
import json
import os
import platform
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote, urlencode

import av
import numpy as np
import psutil
import psycopg

from filmgate.client import Client
from filmgate.db.connection import connected
from filmgate.db.embedded import EmbeddedPostgres
from made_films import WORDS
from page_sections import log, logged_text, write_section
from store import PER_RUN, fill

RATE_PER_S, PACED_S = 50, 20
"""Requests per second, and seconds, of the measurement at a constant rate."""
CONNECTIONS, BURST_S, ROUNDS = 4, 4.0, 5
STREAMS = 200
FILM_ID = "made"
LIGHT_SETTINGS = {f"{stage}.enabled": False for stage in ("detect", "body_tracking", "ocr", "pdf")}

BARE_SERVER = """
import sys
import uvicorn
from fastapi import FastAPI
from psycopg_pool import ConnectionPool

pool = ConnectionPool(sys.argv[1], kwargs={"autocommit": True}, min_size=2, max_size=12, open=True)
app = FastAPI()

@app.get("/one")
def one() -> dict[str, int]:
    with pool.connection() as connection:
        row = connection.execute("select 1", prepare=True).fetchone()
    return {"one": row[0]}

uvicorn.run(app, port=int(sys.argv[2]), log_level="error", access_log=False)
"""

MakePath = Callable[[], str]
"""Makes the path of a random request."""


class Connection:
    """One persistent HTTP connection."""

    def __init__(self, port: int, token: str | None) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def get(self, path: str) -> int:
        """Send a request, read the whole response, and return its status."""
        self._connection.request("GET", path, headers=self._headers)
        response = self._connection.getresponse()
        response.read()
        return response.status


def measure_latency(port: int, token: str, make_path: MakePath) -> list[float]:
    """Send requests at a constant rate; return the milliseconds from when each was due until its
    response was read."""
    latencies: list[float] = []
    numbers = iter(range(RATE_PER_S * PACED_S))
    lock = threading.Lock()
    start = time.perf_counter() + 0.5

    def send_requests() -> None:
        connection = Connection(port, token)
        while True:
            with lock:
                number = next(numbers, None)
                path = make_path()
            if number is None:
                return
            due = start + number / RATE_PER_S
            time.sleep(max(0.0, due - time.perf_counter()))
            status = connection.get(path)
            assert status in {200, 404}, status
            latencies.append((time.perf_counter() - due) * 1000)

    threads = [threading.Thread(target=send_requests) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return latencies


def measure_rate(port: int, token: str | None, make_path: MakePath) -> float:
    """Send requests as fast as possible; return requests per second."""
    counts = [0] * CONNECTIONS
    end = time.perf_counter() + BURST_S

    def send_requests(number: int) -> None:
        connection = Connection(port, token)
        while time.perf_counter() < end:
            assert connection.get(make_path()) in {200, 404}
            counts[number] += 1

    threads = [
        threading.Thread(target=send_requests, args=(number,)) for number in range(CONNECTIONS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / BURST_S


def short_film(path: Path) -> Path:
    """Write a film of two seconds with two shots."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=25)
        video.width, video.height, video.pix_fmt = 96, 64, "yuv420p"
        for number in range(50):
            image = np.full((64, 96, 3), 60 if number < 25 else 190, dtype=np.uint8)
            container.mux(video.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(video.encode(None))
    return path


@contextmanager
def running_service(home: Path, url: str) -> Iterator[tuple[int, str, int]]:
    """Run `filmgate serve`; yield (port, token, process id)."""
    env = {**os.environ, "FILMGATE_HOME": str(home), "FILMGATE_DATABASE_URL": url}
    env |= {"FILMGATE_RATE_PER_S": "0", "FILMGATE_WORKER_SILENCE_S": "4"}
    command = [sys.executable, "-m", "filmgate"]
    token = subprocess.run(
        [*command, "tokens", "create", "bench", "--scope", "admin"],
        env=env,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    log = (home.parent / "serve.log").open("wb")
    process = subprocess.Popen(
        [*command, "serve", "--port", "0", "--workers", "0"],
        env=env,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
    )
    assert process.stdout is not None
    link = process.stdout.readline()
    port = int(link.split("//")[1].split("/")[0].rpartition(":")[2])
    try:
        yield port, token, process.pid
    finally:
        process.terminate()
        process.wait()


@contextmanager
def running_bare_server(url: str) -> Iterator[int]:
    """Run a web server with one `select 1` per request; yield its port."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = int(probe.getsockname()[1])
    process = subprocess.Popen([sys.executable, "-c", BARE_SERVER, url, str(port)])
    try:
        while True:
            try:
                Connection(port, None).get("/one")
                break
            except OSError:
                time.sleep(0.1)
        yield port
    finally:
        process.terminate()
        process.wait()


def make_requests(films: int) -> dict[str, MakePath]:
    """Return functions that make the paths of requests for random films, by name."""
    rng = random.Random(7)
    kinds = ("scene", "transcript", "object", "face", "place", "ocr")

    def film() -> str:
        number = rng.randrange(films)
        return "film" if number == 0 else f"film{number + 1}"

    def jump() -> str:
        query = {"kind": rng.choice(kinds), "from_ms": rng.randrange(1, PER_RUN)}
        return f"/v1/videos/{film()}/jump?{urlencode(query)}"

    return {
        "jump": jump,
        "find": lambda: f"/v1/videos/{film()}/find?q={quote(rng.choice(WORDS))}",
    }


def measure_requests(url: str, port: int, token: str, films: int) -> None:
    """Measure latencies at a constant rate, then maximum rates compared with the bare server."""
    requests = make_requests(films)
    log(f"at {RATE_PER_S} requests per second, {CONNECTIONS} connections")
    for name, make_path in requests.items():
        if name == "jump":
            measure_rate(port, token, make_path)  # fills the caches
        latencies = measure_latency(port, token, make_path)
        p50, p99 = statistics.median(latencies), statistics.quantiles(latencies, n=100)[98]
        log(f"  {name:8} {p50:6.2f} ms, p99 {p99:6.2f} ms  (targets 6 and 30)")
    rates: dict[str, list[float]] = {}
    with running_bare_server(url) as bare_port:
        for _ in range(ROUNDS):
            rates.setdefault("bare", []).append(measure_rate(bare_port, None, lambda: "/one"))
            for name, make_path in requests.items():
                rates.setdefault(name, []).append(measure_rate(port, token, make_path))
    limit = statistics.median(rates.pop("bare"))
    log(f"\nmaximum rate, compared with one `select 1` per request ({limit:.0f} per second)")
    for name, measured in rates.items():
        rate = statistics.median(measured)
        log(f"  {name:8} {rate:6.0f} per second, {rate / limit:5.2f} of that  (target 0.5)")


def measure_streams(client: Client, port: int, token: str, pid: int, home: Path) -> None:
    """Measure the service's memory with many event streams during a run."""
    job = client.run("episode", asset_id=FILM_ID, new=True, settings=LIGHT_SETTINGS)
    process = psutil.Process(pid)
    before = process.memory_info().rss
    head = f"Host: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n\r\n"
    request = f"GET /episodes/{FILM_ID}/runs/{job.run_id}/events HTTP/1.1\r\n{head}".encode()
    connections = [socket.create_connection(("127.0.0.1", port)) for _ in range(STREAMS)]
    for connection in connections:
        connection.sendall(request)
    time.sleep(3)
    opened = process.memory_info().rss
    with running_worker(home):
        ended = sum(b"event: end" in read_stream(connection) for connection in connections)
    after = process.memory_info().rss
    mb = [number / 1e6 for number in (opened - before, after - opened)]
    log(f"\n{STREAMS} event streams during a run: {ended} received its end")
    log(f"  {mb[0]:+6.1f} MB when they are open, {mb[1]:+6.1f} MB more when the run has ended")


def read_stream(connection: socket.socket) -> bytes:
    """Read an event stream to its end."""
    received = b""
    while b"event: end" not in received[-20000:] and (data := connection.recv(65536)):
        received += data
    connection.close()
    return received


@contextmanager
def running_worker(home: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run `filmgate worker`."""
    env = {**os.environ, **json.loads((home.parent / "env.json").read_text())}
    command = [sys.executable, "-m", "filmgate", "worker", *arguments]
    with (home.parent / "worker.log").open("ab") as log:
        process = subprocess.Popen(command, env=env, stderr=log)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def measure_jobs(client: Client, url: str, home: Path, count: int) -> None:
    """Queue many jobs, kill the worker once, and count the results."""
    started = time.perf_counter()
    jobs = [
        client.run("episode", asset_id=FILM_ID, new=True, settings=LIGHT_SETTINGS)
        for _ in range(count)
    ]
    queued_s = time.perf_counter() - started
    started = time.perf_counter()
    with connected(url) as connection:

        def count_ended() -> int:
            row = connection.execute(
                "select count(*) from jobs where ended_at is not null"
            ).fetchone()
            return int(row[0]) if row else 0

        ended_before = count_ended()
        with running_worker(home, "--concurrency", "2") as worker:
            while count_ended() - ended_before < count // 3:
                time.sleep(0.5)
            os.kill(worker.pid, signal.SIGKILL)
        with running_worker(home, "--concurrency", "2"):
            while count_ended() - ended_before < count:
                time.sleep(0.5)
        seconds = time.perf_counter() - started
    ids = {job.job_id for job in jobs}
    ended = [job for job in client.jobs(limit=1000) if job.job_id in ids]
    states = Counter(job.state.value for job in ended)
    runs = {job.run_id for job in ended}
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "select count(*) from inbox where run_id = any(%s)", [list(runs)]
        ).fetchone()
    queued_rate, done_rate = count / queued_s, count / seconds
    log(f"\n{count:,} jobs with one run each; the worker is killed once")
    log(f"  queued at {queued_rate:6.1f} per second, done at {done_rate:6.2f} per second")
    log(f"  {dict(states)}; {len(ids - {job.job_id for job in ended})} lost")
    log(f"  {len(runs):,} runs, {rows[0] if rows else 0:,} receipts: none twice")


def section(artifacts: int) -> str:
    """Return the section of the page."""
    machine = f"Python {platform.python_version()}, {os.cpu_count()} CPUs, {platform.system()}"
    return f"""# The service

*Written by `python benchmarks/service.py --write`.* {datetime.now(UTC).date()}, {machine};
{artifacts:,} artifacts. Clients, server and PostgreSQL share the processors. The limit is the
same web server and the same connection pool with one `select 1` per request and no authentication.

Targets: 6 ms at the median and 30 ms at p99, at 50 requests per second. Half of the limit's rate.
Constant memory. No job lost, none executed twice.

```text
{logged_text().strip()}
```
"""


def main() -> None:
    """Measure everything, and write the section of the page if requested."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--artifacts", type=int, default=1_000_000, help="artifacts to query")
    parser.add_argument("--jobs", type=int, default=1_000, help="jobs to queue")
    parser.add_argument("--write", action="store_true", help="write docs/explanation/benchmarks.md")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        home = root / "home"
        home.mkdir()
        with EmbeddedPostgres(root / "pg").running() as url:
            with connected(url) as connection:
                films = fill(connection, root / "files", options.artifacts)
            (root / "env.json").write_text(
                json.dumps(
                    {
                        "FILMGATE_HOME": str(home),
                        "FILMGATE_DATABASE_URL": url,
                        "FILMGATE_WORKER_SILENCE_S": "4",
                    }
                )
            )
            with running_service(home, url) as (port, token, pid):
                measure_requests(url, port, token, films)
                with Client(f"http://127.0.0.1:{port}", token) as client:
                    client.upload(short_film(root / "made.mkv"), FILM_ID)
                    measure_streams(client, port, token, pid, home)
                    measure_jobs(client, url, home, options.jobs)
    if options.write:
        write_section("service", section(options.artifacts))


if __name__ == "__main__":
    main()
