"""The embedded PostgreSQL: the server that pip installed, run for as long as somebody uses it.

Whoever uses it holds a shared lock on `users.lock`; the kernel takes that back however the
process ends. Starting and stopping happen under `start.lock`. The last user stops the server;
where it could not (kill -9), the watchman does, who waits for the users' lock to fall free.
Only `keep()` makes a server outlive its users.
"""

import fcntl
import hashlib
import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NoReturn
from urllib.parse import quote

from filmgate.core.errors import Held, Unavailable
from filmgate.db.programs import (
    NOBODY,
    Identity,
    closed_to_others,
    is_alive,
    program_of,
    programs_folder,
    told_in,
    unavailable,
)

LONGEST_SOCKET_PATH = 100
"""Bytes; the system's limit is 104 (macOS) or 108 (Linux), with the terminating zero."""

SOCKET_NAME = ".s.PGSQL.5432"
GLANCE_S = 0.05
"""The watchman holds the users' lock for a blink when he wakes; that is no user."""

POLL_S = 0.005
START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 60
FAREWELL_S = 2
READY_LINE = 8
"""Of `postmaster.pid`: where the server writes `ready`."""
LINGER_TIMEOUT_S = 30
START_TRIES = 4
RETRY_AFTER_S = 0.25
"""A killed server's last children need a moment to let go of the shared memory."""

SERVER_OPTIONS = {
    "listen_addresses": "",
    "max_connections": "64",
    "shared_buffers": "128MB",
    "log_min_messages": "warning",
    "timezone": "UTC",
}


@dataclass(frozen=True)
class EmbeddedPostgres:
    """A PostgreSQL cluster in one folder."""

    folder: Path
    """Absolute, since the server's programs run elsewhere."""

    @contextmanager
    def used(self) -> Iterator[str]:
        """The server's URL, for as long as the block lasts; started where it is not running."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "users.lock").open("a+b") as users:
            with self._lock("start.lock"):
                fcntl.flock(users, fcntl.LOCK_SH)
                self._ensure_running()
            try:
                yield self.url
            finally:
                with self._lock("start.lock"):
                    fcntl.flock(users, fcntl.LOCK_UN)
                    is_stopped = self._stop_if_unused()
                if is_stopped:
                    self._await_watchman()

    def keep(self) -> str:
        """Start the server where it is not running, and let it outlive its users; its URL."""
        with self.used() as url:
            self._keep_mark.touch()
            return url

    def stop(self) -> bool:
        """Stop the server; False where it was not running. Held while somebody uses it."""
        if not self.folder.is_dir():
            return False
        with self._lock("start.lock"):
            was_running = self.is_running()
            if was_running and not self._stop_if_unused(even_kept=True):
                raise Held(
                    "the embedded database is in use",
                    expected="no other filmgate process",
                    got="at least one that holds a connection",
                    hint="It stops by itself when the last one ends",
                )
            self._keep_mark.unlink(missing_ok=True)
        self._await_watchman()
        return was_running

    def watch(self, post: int) -> NoReturn:
        """Wait until nobody uses the server, and stop it. The watchman's whole work.

        `post`: the descriptor that holds `watch.lock`. He leaves his post and is gone while he
        still holds the start lock, so that whoever comes next knows that there is none.
        """
        while True:
            with self._lock("users.lock"):
                pass
            with self._lock("start.lock"):
                if self._keep_mark.exists() or self._stop_if_unused():
                    fcntl.flock(post, fcntl.LOCK_UN)
                    os._exit(0)

    @property
    def url(self) -> str:
        """Where the server listens, while it runs."""
        return f"postgresql://filmgate@/postgres?host={quote(str(self._socket_folder))}"

    def is_made(self) -> bool:
        """Whether there is a cluster, running or not."""
        return self._data.is_dir()

    def is_running(self) -> bool:
        """Whether a server accepts connections."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            try:
                probe.connect(str(self._socket_folder / SOCKET_NAME))
            except OSError:
                return False
        return True

    @property
    def _cluster(self) -> Path:
        return self.folder / "cluster"

    @property
    def _data(self) -> Path:
        return self._cluster / "data"

    @property
    def _keep_mark(self) -> Path:
        return self.folder / "keep"

    @property
    def _socket_folder(self) -> Path:
        """Inside the cluster; where that path is too long or has signs that PostgreSQL reads
        otherwise, in /tmp."""
        near = self._cluster
        is_short = len(os.fsencode(near / SOCKET_NAME)) <= LONGEST_SOCKET_PATH
        if is_short and not set(str(near)) & set(",\"'\\"):
            return near
        name = hashlib.sha256(os.fsencode(near)).hexdigest()[:16]
        return Path("/tmp") / f"filmgate-{os.getuid()}-{name}"  # noqa: S108 - checked when made

    @contextmanager
    def _lock(self, name: str, *, wait_s: float | None = None) -> Iterator[bool]:
        """Hold a lock file; yields False where it is still taken after so long (None: for ever)."""
        with (self.folder / name).open("a+b") as file:
            yield _take(file, wait_s)

    def _ensure_running(self) -> None:
        """Under the start lock, as a user."""
        programs = programs_folder()
        identity = self._identity()
        if not self._data.exists():
            self._create(programs, identity)
        if not self._keep_mark.exists():
            self._post_watchman()
        if not self.is_running():
            self._start(programs, identity)

    def _create(self, programs: Path, identity: Identity) -> None:
        """Make the data folder under a name of this try alone, then give it its own."""
        draft = Path(tempfile.mkdtemp(prefix="data.new.", dir=self._cluster))
        identity.own(draft)
        command = [str(programs / "initdb"), "-D", str(draft), "-U", "filmgate", "--auth=trust"]
        command += ["--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        done = identity.run(command)
        if done.returncode != 0:
            shutil.rmtree(draft, ignore_errors=True)
            raise unavailable("the embedded database could not be created", done.stdout)
        draft.rename(self._data)
        for left in self._cluster.glob("data.new.*"):
            shutil.rmtree(left, ignore_errors=True)

    def _start(self, programs: Path, identity: Identity) -> None:
        """Start the server itself, with no shell that could read the path, and await it."""
        self._make_socket_folder(identity)
        settings = {**SERVER_OPTIONS, "unix_socket_directories": str(self._socket_folder)}
        command = [str(programs / "postgres"), "-D", str(self._data)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        log = self._cluster / "server.log"
        for _ in range(START_TRIES):
            self._await_killed_server()
            if self._is_ready_under(identity.launch(command, log)):
                return
            time.sleep(RETRY_AFTER_S)
        raise unavailable("the embedded database does not start", told_in(log))

    def _make_socket_folder(self, identity: Identity) -> None:
        """A folder of ours alone; one that somebody else put there is refused."""
        sockets = self._socket_folder
        sockets.mkdir(mode=0o700, exist_ok=True)
        found = sockets.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in {os.getuid(), identity.uid}:
            raise Unavailable(
                "the folder for the database's socket belongs to somebody else",
                expected=f"{sockets}, a folder of user {identity.uid}",
                got=f"something of user {found.st_uid}",
                hint="Remove it, or choose a shorter FILMGATE_HOME",
            )
        identity.own(sockets)

    def _is_ready_under(self, pid: int) -> bool:
        """Wait until the server takes connections; False once its process is gone."""
        note = self._data / "postmaster.pid"
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            try:
                lines = note.read_text().splitlines()
            except FileNotFoundError:
                lines = []
            is_ready = len(lines) >= READY_LINE and lines[READY_LINE - 1].strip() == "ready"
            if is_ready and lines[0] == str(pid):
                return True
            if not is_alive(pid):
                return False
            time.sleep(POLL_S)
        return False

    def _await_killed_server(self) -> None:
        """Wait until the process that the data folder names has left the system's table.

        A killed server stays there until its parent has noticed, and PostgreSQL, rightly, does
        not start beside it. Where the number has passed to another program since (a restarted
        machine), the note is removed, or PostgreSQL would never start again.
        """
        note = self._data / "postmaster.pid"
        deadline = time.monotonic() + LINGER_TIMEOUT_S
        while time.monotonic() < deadline:
            try:
                pid = int(note.read_text().split()[0])
                name = program_of(pid)
            except (FileNotFoundError, ValueError, IndexError, ProcessLookupError):
                return
            if "postgres" not in name:
                note.unlink(missing_ok=True)
                return
            time.sleep(RETRY_AFTER_S)

    def _stop_if_unused(self, *, even_kept: bool = False) -> bool:
        """Under the start lock, not as a user: stop unless there are users; whether it is down."""
        with self._lock("users.lock", wait_s=GLANCE_S) as is_free:
            if not is_free or (self._keep_mark.exists() and not even_kept):
                return False
            if self.is_running():
                command = [str(programs_folder() / "pg_ctl"), "stop", "-D", str(self._data), "-w"]
                command += ["-t", str(STOP_TIMEOUT_S), "-m", "fast", "-s"]
                done = self._identity().run(command)
                if done.returncode != 0 and self.is_running():
                    raise unavailable("the embedded database does not stop", done.stdout)
            return True

    def _post_watchman(self) -> None:
        """Make sure that one stands watch; orphaned at once, so that no tree of ours holds it.

        It inherits the lock on `watch.lock`, which so is held from before it starts until the
        kernel has done with it.
        """
        with (self.folder / "watch.lock").open("a+b") as post:
            if not _take(post, GLANCE_S):
                return
            number = post.fileno()
            watchman = [sys.executable, "-m", "filmgate.db.watchman", str(self.folder)]
            subprocess.run(
                ["/bin/sh", "-c", '"$@" &', "sh", *watchman, str(number)],
                check=True,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                pass_fds=[number],
            )

    def _await_watchman(self) -> None:
        """Leave nothing behind: with the server down, the watchman is gone within moments.

        Not awaited is the watchman of somebody who has started the server again.
        """
        deadline = time.monotonic() + FAREWELL_S
        while time.monotonic() < deadline and not self.is_running():
            with (self.folder / "watch.lock").open("a+b") as post:
                try:
                    fcntl.flock(post, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    time.sleep(POLL_S)
                else:
                    return

    def _identity(self) -> Identity:
        """Who runs the server; once a cluster is there, always the one who made it."""
        is_new = not self._cluster.exists()
        self._cluster.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.getuid() != 0:
            return Identity(uid=os.getuid())
        closed = [*closed_to_others(self.folder), *closed_to_others(programs_folder())]
        if is_new and not closed:
            os.chown(self._cluster, NOBODY, NOBODY)
        owner = self._cluster.stat().st_uid
        if owner == NOBODY and closed:
            raise Unavailable(
                "the embedded database lies where the user that runs it may not enter",
                expected=f"folders that user {NOBODY} may enter, as where it was made",
                got=f"{closed[0]}, which only some may enter",
                hint=f"chown -R root {self._cluster}, and it runs as root's; or move it back",
            )
        return Identity(uid=owner) if owner else Identity(uid=0, in_namespace=True)


def _take(file: IO[bytes], wait_s: float | None) -> bool:
    if wait_s is None:
        fcntl.flock(file, fcntl.LOCK_EX)
        return True
    deadline = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(POLL_S)
        else:
            return True
