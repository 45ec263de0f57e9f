"""A service that is served: the installed command, on a port of its own."""

import json
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
"""An episode without models."""

PATIENCE_S = 60


class Served:
    """A running `filmgate serve`."""

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
        found: list[str] = []
        reader = threading.Thread(target=lambda: found.append(self._line()), daemon=True)
        reader.start()
        reader.join(PATIENCE_S)
        self.link = "".join(found)
        assert self.link, self.log.read_text()
        self.url, _, _ = self.link.partition("/enter?")
        if not self.token:
            self.token = httpx.post(self.link).json()["token"]

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().decode().strip()

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def client(self, token: str | None = None) -> Client:
        return Client(self.url, token or self.token)

    def http(self, token: str | None = None, **options: Any) -> httpx.Client:
        headers = {"authorization": f"Bearer {token or self.token}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=30, **options)

    def filmgate(self, *arguments: str) -> str:
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

    def token_of(self, user: str, scope: str) -> str:
        return self.filmgate("tokens", "create", user, "--scope", scope)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self._gone()

    def kill(self) -> None:
        self.process.kill()
        self._gone()

    def _gone(self) -> int:
        code = self.process.wait(PATIENCE_S)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return code

    def told(self) -> str:
        return self.log.read_text()


@contextmanager
def served(home: Path, *arguments: str, **env: str) -> Iterator[Served]:
    """Serve for the length of a block."""
    service = Served(home, *arguments, **env)
    try:
        yield service
    finally:
        service.stop()


@contextmanager
def worker(service: Served, *arguments: str, **env: str) -> Iterator[subprocess.Popen[bytes]]:
    """A worker of one's own beside a service."""
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


def until(is_so: Callable[[], Any], patience_s: float = PATIENCE_S) -> Any:
    """Wait until something is so; what it was then."""
    deadline = time.monotonic() + patience_s
    while not (found := is_so()):
        assert time.monotonic() < deadline, "it never became so"
        time.sleep(0.1)
    return found


def error_of(response: httpx.Response) -> dict[str, Any]:
    """The one error body."""
    told = response.json()
    assert set(told) == {"error", "message", "details", "timestamp"}, told
    return dict(json.loads(response.text))
