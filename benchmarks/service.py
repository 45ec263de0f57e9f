"""The service, beside the limit of what it does.

    python benchmarks/service.py [--artifacts 1000000] [--jobs 1000] [--write]

Jump and find over HTTP, at 50 requests a second: how long each takes from the moment at which it
was due. Then as many as come, on four connections, in turn with the same web server and pool of
connections that answers one `select 1` a request. Two hundred event streams while a run goes on.
Jobs that are queued, taken by a worker that is killed once, and counted.
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
from store import PER_RUN, fill
from written import write_section

RATE_PER_S, PACED_S = 50, 20
CONNECTIONS, BURST_S, ROUNDS = 4, 4.0, 5
STREAMS = 200
MADE = "made"
LIGHT = {f"{stage}.enabled": False for stage in ("detect", "body_tracking", "ocr", "pdf")}

BARE = """
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

Question = Callable[[], str]


class Asker:
    """One connection that is kept."""

    def __init__(self, port: int, token: str | None) -> None:
        self._wire = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def ask(self, path: str) -> int:
        """The status of an answer that was read to its end."""
        self._wire.request("GET", path, headers=self._headers)
        response = self._wire.getresponse()
        response.read()
        return response.status


def paced(port: int, token: str, path: Question) -> list[float]:
    """Milliseconds from when each request was due, at an even rate, until its answer was there."""
    took: list[float] = []
    due = iter(range(RATE_PER_S * PACED_S))
    lock = threading.Lock()
    began = time.perf_counter() + 0.5

    def ask() -> None:
        asker = Asker(port, token)
        while True:
            with lock:
                number = next(due, None)
                asked = path()
            if number is None:
                return
            at = began + number / RATE_PER_S
            time.sleep(max(0.0, at - time.perf_counter()))
            status = asker.ask(asked)
            assert status in {200, 404}, status
            took.append((time.perf_counter() - at) * 1000)

    threads = [threading.Thread(target=ask) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return took


def burst(port: int, token: str | None, path: Question) -> float:
    """Requests a second, as many as come."""
    counts = [0] * CONNECTIONS
    ends = time.perf_counter() + BURST_S

    def ask(number: int) -> None:
        asker = Asker(port, token)
        while time.perf_counter() < ends:
            assert asker.ask(path()) in {200, 404}
            counts[number] += 1

    threads = [threading.Thread(target=ask, args=(each,)) for each in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / BURST_S


def short_film(path: Path) -> Path:
    """Two seconds, two shots."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=25)
        video.width, video.height, video.pix_fmt = 96, 64, "yuv420p"
        for number in range(50):
            image = np.full((64, 96, 3), 60 if number < 25 else 190, dtype=np.uint8)
            container.mux(video.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(video.encode(None))
    return path


@contextmanager
def served(home: Path, url: str) -> Iterator[tuple[int, str, int]]:
    """`filmgate serve`: its port, a token, its process."""
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
def bare(url: str) -> Iterator[int]:
    """A web server that answers one `select 1` a request: its port."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = int(probe.getsockname()[1])
    process = subprocess.Popen([sys.executable, "-c", BARE, url, str(port)])
    try:
        while True:
            try:
                Asker(port, None).ask("/one")
                break
            except OSError:
                time.sleep(0.1)
        yield port
    finally:
        process.terminate()
        process.wait()


def questions(films: int) -> dict[str, Question]:
    """Paths that are asked, of random films."""
    chance = random.Random(7)
    kinds = ("scene", "transcript", "object", "face", "place", "ocr")

    def film() -> str:
        number = chance.randrange(films)
        return "film" if number == 0 else f"film{number + 1}"

    def jump() -> str:
        asked = {"kind": chance.choice(kinds), "from_ms": chance.randrange(1, PER_RUN)}
        return f"/v1/videos/{film()}/jump?{urlencode(asked)}"

    return {
        "jump": jump,
        "find": lambda: f"/v1/videos/{film()}/find?q={quote(chance.choice(WORDS))}",
    }


def measure_asking(url: str, port: int, token: str, films: int) -> None:
    """Times at an even rate; then rates beside the bare server."""
    asked = questions(films)
    say(f"at {RATE_PER_S} requests a second, {CONNECTIONS} connections")
    for name, path in asked.items():
        if name == "jump":
            burst(port, token, path)  # so that all is warm
        took = paced(port, token, path)
        p50, p99 = statistics.median(took), statistics.quantiles(took, n=100)[98]
        say(f"  {name:8} {p50:6.2f} ms, p99 {p99:6.2f} ms  (aimed at 6 and 30)")
    rates: dict[str, list[float]] = {}
    with bare(url) as bare_port:
        for _ in range(ROUNDS):
            rates.setdefault("bare", []).append(burst(bare_port, None, lambda: "/one"))
            for name, path in asked.items():
                rates.setdefault(name, []).append(burst(port, token, path))
    limit = statistics.median(rates.pop("bare"))
    say(f"\nas many as come, beside one `select 1` a request ({limit:.0f} a second)")
    for name, found in rates.items():
        rate = statistics.median(found)
        say(f"  {name:8} {rate:6.0f} a second, {rate / limit:5.2f} of that  (aimed at 0.5)")


def measure_streams(client: Client, port: int, token: str, pid: int, home: Path) -> None:
    """Memory with many streams open while a run goes on."""
    job = client.run("episode", asset_id=MADE, new=True, settings=LIGHT)
    process = psutil.Process(pid)
    before = process.memory_info().rss
    head = f"Host: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n\r\n"
    request = f"GET /episodes/{MADE}/runs/{job.run_id}/events HTTP/1.1\r\n{head}".encode()
    wires = [socket.create_connection(("127.0.0.1", port)) for _ in range(STREAMS)]
    for wire in wires:
        wire.sendall(request)
    time.sleep(3)
    opened = process.memory_info().rss
    with working(home):
        ended = sum(b"event: end" in read_all(wire) for wire in wires)
    after = process.memory_info().rss
    mb = [number / 1e6 for number in (opened - before, after - opened)]
    say(f"\n{STREAMS} event streams while a run goes on: {ended} heard its end")
    say(f"  {mb[0]:+6.1f} MB when they are open, {mb[1]:+6.1f} MB more when the run has ended")


def read_all(wire: socket.socket) -> bytes:
    """What a stream says, to its end."""
    told = b""
    while b"event: end" not in told[-20000:] and (piece := wire.recv(65536)):
        told += piece
    wire.close()
    return told


@contextmanager
def working(home: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A worker."""
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
    """Queue many, kill the worker once in the middle, count what came of them."""
    began = time.perf_counter()
    asked = [client.run("episode", asset_id=MADE, new=True, settings=LIGHT) for _ in range(count)]
    queued_s = time.perf_counter() - began
    began = time.perf_counter()
    with connected(url) as connection:

        def over() -> int:
            row = connection.execute(
                "select count(*) from pipeline.jobs where ended_at is not null"
            ).fetchone()
            return int(row[0]) if row else 0

        first = over()
        with working(home, "--concurrency", "2") as doomed:
            while over() - first < count // 3:
                time.sleep(0.5)
            os.kill(doomed.pid, signal.SIGKILL)
        with working(home, "--concurrency", "2"):
            while over() - first < count:
                time.sleep(0.5)
        seconds = time.perf_counter() - began
    ids = {job.job_id for job in asked}
    ended = [job for job in client.jobs(limit=1000) if job.job_id in ids]
    states = Counter(job.state.value for job in ended)
    runs = {job.run_id for job in ended}
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "select count(*) from pipeline.inbox where run_id = any(%s)", [list(runs)]
        ).fetchone()
    say(f"\n{count:,} jobs, each a run of its own; the worker is killed once")
    say(f"  queued at {count / queued_s:6.1f} a second, done at {count / seconds:6.2f} a second")
    say(f"  {dict(states)}; {len(ids - {job.job_id for job in ended})} lost")
    say(f"  {len(runs):,} runs, {rows[0] if rows else 0:,} receipts: none twice")


SAID: list[str] = []


def say(line: str) -> None:
    """Print a line, and keep it for the page."""
    print(line, flush=True)
    SAID.append(line)


def section(lines: str, asked: argparse.Namespace) -> str:
    """What was measured, as it stands on the page."""
    machine = f"Python {platform.python_version()}, {os.cpu_count()} CPUs, {platform.system()}"
    return f"""# The service

*Written by `python benchmarks/service.py --write`.* {datetime.now(UTC).date()}, {machine};
{asked.artifacts:,} artifacts. Those who ask, the server and PostgreSQL share the processors. The
limit is the same web server and the same pool of connections with one `select 1` a request, and
nobody is asked who they are.

Aimed at: 6 ms at the median and 30 ms at p99 at 50 requests a second; half of the limit's rate;
memory that stays flat; no job lost, none done twice.

```text
{lines.strip()}
```
"""


def main() -> None:
    """Measure, print, and write the page where asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--artifacts", type=int, default=1_000_000)
    parser.add_argument("--jobs", type=int, default=1_000)
    parser.add_argument("--write", action="store_true", help="put it into the docs")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        home = root / "home"
        home.mkdir()
        with EmbeddedPostgres(root / "pg").used() as url:
            with connected(url) as connection:
                films = fill(connection, root / "files", asked.artifacts)
            (root / "env.json").write_text(
                json.dumps(
                    {
                        "FILMGATE_HOME": str(home),
                        "FILMGATE_DATABASE_URL": url,
                        "FILMGATE_WORKER_SILENCE_S": "4",
                    }
                )
            )
            with served(home, url) as (port, token, pid):
                measure_asking(url, port, token, films)
                with Client(f"http://127.0.0.1:{port}", token) as client:
                    client.upload(short_film(root / "made.mkv"), MADE)
                    measure_streams(client, port, token, pid, home)
                    measure_jobs(client, url, home, asked.jobs)
    if asked.write:
        write_section("service", section("\n".join(SAID), asked))


if __name__ == "__main__":
    main()
