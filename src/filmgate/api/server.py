"""Run the web server and a worker process."""

import contextlib
import errno
import gc
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType

import uvicorn
from fastapi import FastAPI

from filmgate.api.application import create_app
from filmgate.api.protocol import MAX_CONNECTIONS, ConnectionLimit, protocol_factory
from filmgate.api.service import AuthMode, Service
from filmgate.core.access import LOCAL_HOSTS, Scope
from filmgate.core.errors import Interrupted, Unavailable
from filmgate.wiring.settings import Settings

BACKLOG = 512
"""Number of connections that may wait to be accepted."""

KEEP_ALIVE_S = 30
"""Time after which an idle connection is closed, in seconds."""

SHUTDOWN_S = 5
"""Time that requests have to finish when the server stops, in seconds. After it, all connections
are closed, also those whose clients do not send their request or do not read their response."""

RESTART_S, MAX_RESTART_S = 1.0, 60.0
"""Shortest and longest pause before a worker restart, in seconds; it doubles at each restart."""

STEADY_S = 60.0
"""Lifetime of a worker, in seconds, after which the next pause is `RESTART_S` again."""

WORKER_SHUTDOWN_S = 3700.0
"""Time after which a worker that was asked to stop is killed, in seconds. It is longer than the
largest valid `worker_grace_s`."""


class Server(uvicorn.Server):
    """Server that calls `ready` when it serves, and ends event streams when it is asked to stop."""

    def __init__(
        self,
        config: uvicorn.Config,
        service: Service,
        ready: Callable[[], None],
        worker: "_Worker | None",
    ) -> None:
        """`worker`: the worker that stops with the server."""
        super().__init__(config)
        self._service = service
        self._ready = ready
        self._worker = worker

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to serve, then call `ready`."""
        await super().startup(sockets)
        if self.started:
            self._ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End the event streams, which would never end otherwise, then handle the stop signal."""
        if self._worker is not None:
            self._worker.end_restarts()
        self._service.hub.close()
        super().handle_exit(sig, frame)


@dataclass(frozen=True, kw_only=True)
class ServerRunner:
    """Runs the server with its parameters."""

    settings: Settings
    host: str
    port: int
    workers: int
    """Number of jobs that the worker runs at a time; 0: no worker."""
    is_open: bool
    """Whether requests from this machine need no authentication."""
    proxies: str
    """Addresses of trusted proxies, separated by commas; their X-Forwarded-* headers are used."""

    def run(self, ready: Callable[[str, str | None], None]) -> None:
        """Serve until SIGINT or SIGTERM.

        `ready` is called with the URL and the code of a one-time link. The code is None unless the
        server listens on a loopback address and requires authentication.
        """
        self._raise_open_file_limit()
        is_local = self.host in LOCAL_HOSTS
        names = tuple(name.strip().lower() for name in self.settings.hosts.split(",") if name)
        hosts = (*LOCAL_HOSTS, *names) if is_local or names else ()
        service = Service(
            self.settings, AuthMode.OPEN if self.is_open else AuthMode.REQUIRED, hosts
        )
        with self._listen() as listening, service.opened():
            port = listening.getsockname()[1]
            url = f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{port}"

            def on_ready() -> None:
                needs_link = is_local and not self.is_open
                code = service.access.create_link("local", Scope.ADMIN) if needs_link else None
                ready(url, code)

            worker = _Worker(self.workers) if self.workers else None
            with worker or contextlib.nullcontext():
                server = Server(self._config(create_app(service)), service, on_ready, worker)
                gc.collect()
                gc.freeze()  # the loaded objects are permanent; later collections skip them
                with contextlib.suppress(Interrupted):  # raised by the signal to stop
                    server.run([listening])

    @staticmethod
    def _raise_open_file_limit() -> None:
        """Raise the soft limit of open files if it is too low for the maximum of connections."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        needed = 2 * MAX_CONNECTIONS
        if soft != resource.RLIM_INFINITY and soft < needed:
            limit = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))

    def _config(self, app: FastAPI) -> uvicorn.Config:
        limit = ConnectionLimit(self.settings.connections_per_address, self.proxies)
        return uvicorn.Config(
            app,
            http=protocol_factory(limit),  # type: ignore[arg-type]  # uvicorn only calls it
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=True,
            backlog=BACKLOG,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=SHUTDOWN_S,
            proxy_headers=bool(self.proxies),
            forwarded_allow_ips=self.proxies,
            ws="none",
        )

    def _listen(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        try:
            return socket.create_server((self.host, self.port), family=family, backlog=BACKLOG)
        except OSError as error:
            is_taken = error.errno == errno.EADDRINUSE
            hint = "Choose another --port, or 0 for any free one"
            raise Unavailable(
                f"the server cannot listen on {self.host}:{self.port}",
                got=error.strerror or str(error),
                hint=hint if is_taken else "Set --host to an address of this machine",
            ) from error


class _Worker:
    """A worker process that is restarted when it dies.

    The worker also ends when this process ends or is killed, because that closes the worker's
    standard input.
    """

    def __init__(self, concurrency: int) -> None:
        command = [sys.executable, "-m", "filmgate", "worker", "--with-parent"]
        self._command = [*command, "--concurrency", str(concurrency)]
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._supervise, name="worker", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def end_restarts(self) -> None:
        """Do not start the worker again. A signal to the process group ends the worker before the
        server has stopped."""
        self._stopping.set()

    def __exit__(self, *_exc_info: object) -> None:
        self._stopping.set()
        with self._lock:
            process = self._process
        if process is not None:
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(WORKER_SHUTDOWN_S)
            process.kill()
            process.wait()
        self._thread.join(WORKER_SHUTDOWN_S)

    def _supervise(self) -> None:
        pause_s = RESTART_S
        while not self._stopping.is_set():
            started = time.monotonic()
            with self._lock:
                if self._stopping.is_set():
                    return
                self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE)
            self._process.wait()
            lifetime_s = time.monotonic() - started
            pause_s = RESTART_S if lifetime_s > STEADY_S else min(MAX_RESTART_S, pause_s * 2)
            self._stopping.wait(pause_s)
