"""Serving: the web server, and the worker beside it, for as long as both are wanted."""

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
from filmgate.api.protocol import ConnectionLimit, protocol_factory
from filmgate.api.service import Door, Service
from filmgate.app.settings import Settings
from filmgate.core.access import LOCAL_NAMES, Scope
from filmgate.core.errors import Interrupted, Unavailable

BACKLOG = 512
MOST_CONNECTIONS = 2000
KEEP_ALIVE_S = 30
FAREWELL_S = 5
RESTART_S, LONGEST_RESTART_S = 1.0, 60.0
STEADY_S = 60.0
"""A worker that lived so long is started again soon; one that did not, later and later."""

LONGEST_FAREWELL_S = 3700.0
"""A worker's patience with its jobs has its own limit, which is shorter."""


class Server(uvicorn.Server):
    """Says when it serves; and tells the streams to end when it is asked to stop, which would go on
    for ever."""

    def __init__(self, config: uvicorn.Config, service: Service, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._service = service
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to serve."""
        await super().startup(sockets)
        if self.started:
            self._ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Asked to stop."""
        self._service.hub.close()
        super().handle_exit(sig, frame)


@dataclass(frozen=True, kw_only=True)
class Serve:
    """How to serve."""

    settings: Settings
    host: str
    port: int
    workers: int
    """So many jobs at a time."""
    is_open: bool
    """Whether nobody is asked who they are."""
    proxies: str
    """Whose word on where a request came from is believed."""

    def run(self, ready: Callable[[str, str | None], None]) -> None:
        """Serve until SIGINT or SIGTERM; `ready` hears where, and the code of a one-time link,
        where one is of use."""
        self._allow_open_files()
        is_local = self.host in LOCAL_NAMES
        names = tuple(each.strip().lower() for each in self.settings.hosts.split(",") if each)
        hosts = (*LOCAL_NAMES, *names) if is_local or names else ()
        service = Service(self.settings, Door.OPEN if self.is_open else Door.KNOWN, hosts)
        with self._socket() as listening, service.opened():
            port = listening.getsockname()[1]
            where = f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{port}"

            def tell() -> None:
                is_linked = is_local and not self.is_open
                code = service.access.link("local", Scope.ADMIN) if is_linked else None
                ready(where, code)

            with _Worker(self.workers) if self.workers else contextlib.nullcontext():
                server = Server(self._config(create_app(service)), service, tell)
                gc.collect()
                gc.freeze()  # what is there now stays; nobody need look at it again and again
                with contextlib.suppress(Interrupted):  # the signal that it was asked with
                    server.run([listening])

    @staticmethod
    def _allow_open_files() -> None:
        """Raise the soft limit of open files to what the connections need, where it is lower."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = 2 * MOST_CONNECTIONS
        if soft != resource.RLIM_INFINITY and soft < wanted:
            most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))

    def _config(self, app: FastAPI) -> uvicorn.Config:
        limit = ConnectionLimit(self.settings.connections_per_address, self.proxies)
        return uvicorn.Config(
            app,
            http=protocol_factory(limit),  # type: ignore[arg-type]  # called, never subclassed
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=True,
            backlog=BACKLOG,
            limit_concurrency=MOST_CONNECTIONS,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=FAREWELL_S,
            proxy_headers=bool(self.proxies),
            forwarded_allow_ips=self.proxies,
            ws="none",
        )

    def _socket(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        try:
            return socket.create_server((self.host, self.port), family=family, backlog=BACKLOG)
        except OSError as error:
            is_taken = error.errno == errno.EADDRINUSE
            hint = "Another --port may be free; 0 takes any"
            raise Unavailable(
                f"{self.host}:{self.port} cannot be listened on",
                got=error.strerror or str(error),
                hint=hint if is_taken else "Give --host an address of this machine",
            ) from error


class _Worker:
    """A worker in a process of its own, started again where it dies; it ends when we do, however
    that happens: it hears its standard input fall shut."""

    def __init__(self, concurrency: int) -> None:
        command = [sys.executable, "-m", "filmgate", "worker", "--with-parent"]
        self._command = [*command, "--concurrency", str(concurrency)]
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._keeper = threading.Thread(target=self._keep, name="worker", daemon=True)

    def __enter__(self) -> None:
        self._keeper.start()

    def __exit__(self, *_told: object) -> None:
        self._ended.set()
        with self._lock:
            process = self._process
        if process is not None:
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(LONGEST_FAREWELL_S)
            process.kill()
            process.wait()
        self._keeper.join(LONGEST_FAREWELL_S)

    def _keep(self) -> None:
        pause_s = RESTART_S
        while not self._ended.is_set():
            began = time.monotonic()
            with self._lock:
                if self._ended.is_set():
                    return
                self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE)
            self._process.wait()
            lived_s = time.monotonic() - began
            pause_s = RESTART_S if lived_s > STEADY_S else min(LONGEST_RESTART_S, pause_s * 2)
            self._ended.wait(pause_s)
