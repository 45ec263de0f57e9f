"""Serving: the web server, and the worker beside it, for as long as both are wanted."""

import contextlib
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType

import uvicorn
from fastapi import FastAPI

from filmgate.api.application import create_app
from filmgate.api.service import Door, Service
from filmgate.app.settings import Settings
from filmgate.core.access import Scope
from filmgate.core.errors import Interrupted, Unavailable

LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")
"""Of this machine alone."""

BACKLOG = 512
MOST_CONNECTIONS = 2000
KEEP_ALIVE_S = 30
FAREWELL_S = 5
RESTART_S = 1.0


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

            with _worker(self.workers) if self.workers else contextlib.nullcontext():
                server = Server(self._config(create_app(service)), service, tell)
                with contextlib.suppress(Interrupted):  # the signal that it was asked with
                    server.run([listening])

    def _config(self, app: FastAPI) -> uvicorn.Config:
        return uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=True,
            backlog=BACKLOG,
            limit_concurrency=MOST_CONNECTIONS,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=FAREWELL_S,
            proxy_headers=True,
            forwarded_allow_ips=self.proxies,
            ws="none",
        )

    def _socket(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        try:
            return socket.create_server((self.host, self.port), family=family, backlog=BACKLOG)
        except OSError as error:
            raise Unavailable(
                f"{self.host}:{self.port} cannot be listened on",
                got=error.strerror or str(error),
                hint="Another --port may be free; 0 takes any",
            ) from error


@contextlib.contextmanager
def _worker(concurrency: int) -> Iterator[None]:
    """A worker in a process of its own, started again where it dies; it ends when we do, however
    that happens: it hears its standard input fall shut."""
    command = [sys.executable, "-m", "filmgate", "worker", "--with-parent"]
    command += ["--concurrency", str(concurrency)]
    ended = threading.Event()
    working: list[subprocess.Popen[bytes]] = []

    def keep() -> None:
        while not ended.is_set():
            working[:] = [subprocess.Popen(command, stdin=subprocess.PIPE)]
            working[0].wait()
            ended.wait(RESTART_S)

    keeper = threading.Thread(target=keep, name="worker", daemon=True)
    keeper.start()
    try:
        yield
    finally:
        ended.set()
        for each in working:
            each.send_signal(signal.SIGTERM)
        keeper.join()
