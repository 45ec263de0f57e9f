"""Run `filmgate serve` as a subprocess on a free port."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from filmgate.client import Client

LIGHT = {f"{stage}.enabled": False for stage in ("detect", "body_tracking", "ocr", "pdf")}
"""Settings of an episode run without models."""

PATIENCE_S = 60
"""Time limit for the service to start, to stop or to reach an expected state, in seconds."""


class Served:
    """A running `filmgate serve`, and clients with an admin's token."""

    def __init__(self, home: Path, *arguments: str, **env: str) -> None:
        self.home = home
        home.mkdir(parents=True, exist_ok=True)
        self.env = {**os.environ, "FILMGATE_HOME": str(home), **env}
        self.log = home.parent / f"{home.name}.serve.log"
        self.arguments = arguments
        self.token = ""
        self.url = ""
        self.start()

    def start(self, port: int = 0) -> None:
        """Start the service, and exchange its one-time link for a token."""
        command = [sys.executable, "-m", "filmgate", "serve", "--port", str(port)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, *self.arguments],
                env=self.env,
                cwd=self.home.parent,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        lines: list[str] = []
        reader = threading.Thread(target=lambda: lines.append(self._read_line()), daemon=True)
        reader.start()
        reader.join(PATIENCE_S)
        self.link = "".join(lines)
        assert self.link, self.log.read_text()
        self.url, _, _ = self.link.partition("/enter?")
        if not self.token:
            self.token = httpx.post(self.link).json()["token"]

    def _read_line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().decode().strip()

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def client(self, token: str | None = None) -> Client:
        """Return a client of the service; default: with the admin's token."""
        return Client(self.url, token or self.token)

    def http(self, token: str | None = None, **options: Any) -> httpx.Client:
        """Return an HTTP client with a token; default: the admin's."""
        headers = {"authorization": f"Bearer {token or self.token}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=30, **options)

    def filmgate(self, *arguments: str) -> str:
        """Run a command with the service's home and database; return its output."""
        done = subprocess.run(
            [sys.executable, "-m", "filmgate", *arguments],
            env=self.env,
            cwd=self.home.parent,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    def create_token(self, user: str, scope: str) -> str:
        return self.filmgate("tokens", "create", user, "--scope", scope)

    def stop(self) -> int:
        """Stop the service; return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self._wait()

    def kill(self) -> None:
        self.process.kill()
        self._wait()

    def _wait(self) -> int:
        code = self.process.wait(PATIENCE_S)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return code

    def read_log(self) -> str:
        return self.log.read_text()


@contextmanager
def served(home: Path, *arguments: str, **env: str) -> Iterator[Served]:
    """Run the service in a block."""
    service = Served(home, *arguments, **env)
    try:
        yield service
    finally:
        service.stop()


@contextmanager
def run_worker(service: Served, *arguments: str, **env: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a separate worker for a service in a block."""
    with service.log.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "filmgate", "worker", *arguments],
            env={**service.env, **env},
            cwd=service.home.parent,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(PATIENCE_S)


def until(condition: Callable[[], Any], patience_s: float = PATIENCE_S) -> Any:
    """Wait until a condition returns a true value; return that value."""
    deadline = time.monotonic() + patience_s
    while not (value := condition()):
        assert time.monotonic() < deadline, "the condition was not met in time"
        time.sleep(0.1)
    return value


def error_body(response: httpx.Response) -> dict[str, Any]:
    """Return the body of an error response, after a check of its fields."""
    body = response.json()
    assert set(body) == {"error", "message", "details", "timestamp"}, body
    return dict(body)
