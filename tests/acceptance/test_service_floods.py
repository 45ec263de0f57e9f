"""Floods of bytes and connections from one address do not affect other addresses."""

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from support.served import Served, served

pytestmark = pytest.mark.proof

ATTACKER = "127.0.0.2"
"""Address of attacks. Health checks come from 127.0.0.1; limits count by address."""

MAX_SLOWDOWN = 10
"""Limit of the median time of a health check during an attack, relative to that without one."""

HEADER_FLOOD = """
import socket, sys, time
end = time.monotonic() + 6
ended = []
while time.monotonic() < end:
    connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])),
                                          source_address=("127.0.0.2", 0))
    sent = 0
    try:
        connection.sendall(b"GET / HTTP/1.1\\r\\nHost: here\\r\\nx: ")
        while time.monotonic() < end:
            connection.sendall(b"v" * 65536)
            sent += 65536
    except OSError:
        ended.append(sent)
    connection.close()
print(len(ended), max(ended, default=0))
"""
MANY_HEADERS = HEADER_FLOOD.replace('b"v" * 65536', 'b"v: v\\r\\nx: " * 8192')
MOST_SENT = 16_000_000
"""Number of bytes that a flood may send on a connection; two socket buffers hold a few million."""

SLOW_HEADERS = """
import socket, sys, time
connections = []
end = time.monotonic() + 25
while time.monotonic() < end:
    while len(connections) < 400:
        connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])),
                                              source_address=("127.0.0.2", 0))
        connection.sendall(b"GET / HTTP/1.1\\r\\n")
        connections.append(connection)
    for connection in list(connections):
        try:
            connection.sendall(b"x")
        except OSError:
            connections.remove(connection)
            print("ended", flush=True)
    time.sleep(1)
"""
HALF_OPEN = """
import socket, sys, time
connections = [socket.create_connection(("127.0.0.1", int(sys.argv[1])),
                                        source_address=("127.0.0.2", 0)) for _ in range(2000)]
print("open", flush=True)
time.sleep(15)
for connection in connections:
    connection.settimeout(1)
    try:
        left = connection.recv(65536)
    except TimeoutError:
        print("still open", flush=True)
    except OSError:
        pass
"""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, module_database_url: str) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("flooded") / "home"
    env = {"FILMGATE_DATABASE_URL": module_database_url, "FILMGATE_RATE_PER_S": "0"}
    with served(home, "--workers", "0", **env) as running:
        yield running


@contextmanager
def attack(service: Served, program: str) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-c", program, str(service.port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as attacker:
        try:
            yield attacker
        finally:
            attacker.kill()


def median_s(service: Served, checks: int = 40) -> float:
    """Return the median time of a health check on a new connection, in seconds."""
    durations = []
    for _ in range(checks):
        started = time.perf_counter()
        assert httpx.get(f"{service.url}/healthz", timeout=30).status_code == 200
        durations.append(time.perf_counter() - started)
        time.sleep(0.05)
    return statistics.median(durations)


@pytest.fixture(scope="module")
def quiet_s(service: Served) -> float:
    median_s(service, 5)
    return median_s(service)


@pytest.mark.parametrize("program", [HEADER_FLOOD, MANY_HEADERS], ids=["one field", "many fields"])
def test_a_flood_of_header_bytes_delays_no_other_client_and_takes_no_memory(
    service: Served, quiet_s: float, program: str
) -> None:
    process = psutil.Process(service.process.pid)
    before = process.memory_info().rss
    with attack(service, program) as attacker:
        time.sleep(0.5)
        assert median_s(service) < MAX_SLOWDOWN * quiet_s
        assert attacker.wait(30) == 0
        assert attacker.stdout is not None
        ended, most_sent = map(int, attacker.stdout.read().split())
    assert ended > 0
    assert most_sent < MOST_SENT
    assert process.memory_info().rss - before < 40_000_000


def test_slow_headers_delay_no_other_client_and_end_at_their_deadline(
    service: Served, quiet_s: float
) -> None:
    with attack(service, SLOW_HEADERS) as attacker:
        time.sleep(1)
        assert median_s(service) < MAX_SLOWDOWN * quiet_s
        assert attacker.wait(60) == 0
        assert attacker.stdout is not None
        ended = attacker.stdout.read().count("ended")
    assert ended >= 400


def test_two_thousand_half_open_connections_delay_no_other_client_and_are_closed(
    service: Served, quiet_s: float
) -> None:
    with attack(service, HALF_OPEN) as attacker:
        assert attacker.stdout is not None
        assert attacker.stdout.readline() == "open\n"
        assert median_s(service) < MAX_SLOWDOWN * quiet_s
        assert "still open" not in attacker.stdout.read()


def test_invalid_tokens_from_an_address_do_not_lock_out_valid_ones(service: Served) -> None:
    with httpx.Client(base_url=service.url) as guesser, service.http() as admin:
        for number in range(60):
            bad = {"authorization": f"Bearer fg_{number:012d}_{'a' * 43}"}
            assert guesser.get("/v1/videos", headers=bad).status_code == (
                401 if number < 20 else 429
            )
            assert admin.get("/v1/videos").status_code == 200
    with service.http(service.create_token("late", "viewer")) as new:
        assert new.get("/v1/videos").status_code == 200


def test_the_service_stops_during_an_attack(tmp_path: Path, database_url: str) -> None:
    env = {"FILMGATE_DATABASE_URL": database_url}
    with (
        served(tmp_path / "home", "--workers", "0", **env) as running,
        attack(running, HALF_OPEN) as attacker,
    ):
        assert attacker.stdout is not None
        assert attacker.stdout.readline() == "open\n"
        assert running.stop() == 0
