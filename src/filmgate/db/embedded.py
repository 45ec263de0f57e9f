"""Embedded PostgreSQL server, installed by a pip package; it runs while processes use it.

Every process that uses the server holds a shared lock on `users.lock`; the kernel releases it
however the process ends. The server is started and stopped under `start.lock`. The last user stops
it. If that user was killed (kill -9), the supervisor stops it: a process that waits until the lock
on `users.lock` is free. After `keep()` the server runs on without users.
"""

import fcntl
import hashlib
import os
import shlex
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, NoReturn
from urllib.parse import quote

from filmgate.core.errors import Held, Unavailable
from filmgate.db.programs import (
    CAPABILITY,
    NAMESPACE,
    UNPRIVILEGED_UID,
    WITH_CAPABILITY,
    ProcessIdentity,
    can_run_with,
    closed_to_others,
    is_alive,
    process_name,
    programs_folder,
    read_log,
    unavailable,
)

LONGEST_SOCKET_PATH = 100
"""In bytes. The system's limit is 104 (macOS) or 108 (Linux), with the terminating zero."""

SOCKET_NAME = ".s.PGSQL.5432"
LOCK_TIMEOUT_S = 0.05
"""How long to wait for `users.lock` and `watch.lock`. When the supervisor wakes, it holds
`users.lock` for a moment without being a user."""

POLL_S = 0.005
START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 60
SUPERVISOR_EXIT_TIMEOUT_S = 2
READY_LINE = 8
"""The line of `postmaster.pid` in which the server writes `ready`; the first line is 1."""
LINGER_TIMEOUT_S = 30
START_TRIES = 4
RETRY_AFTER_S = 0.25
"""Time that the last children of a killed server may take to release the shared memory."""

SERVER_OPTIONS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "64",
    "shared_buffers": "128MB",
    "log_min_messages": "warning",
    "timezone": "UTC",
}


@dataclass(frozen=True)
class EmbeddedPostgres:
    """A PostgreSQL cluster in one folder."""

    folder: Path
    """Absolute, since the server's programs run in another folder."""
    warn: Callable[[str], None] = field(default=lambda _message: None, compare=False)
    """Called with a warning if other processes of the server's user can use the database."""

    @contextmanager
    def running(self) -> Iterator[str]:
        """Run the server for the length of a block, starting it if necessary; yields its URL."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self.folder / "users.lock").open("a+b") as users:
            with self._lock("start.lock"):
                fcntl.flock(users, fcntl.LOCK_SH)
                self._ensure_running()
            try:
                yield self.url
            finally:
                with self._lock("start.lock"):
                    fcntl.flock(users, fcntl.LOCK_UN)
                    was_stopped = self._stop_if_unused()
                if was_stopped:
                    self._await_supervisor_exit()

    def keep(self) -> str:
        """Start the server if necessary, and keep it running without users; return its URL."""
        with self.running() as url:
            self._keep_mark.touch()
            return url

    def stop(self) -> bool:
        """Stop the server; return False if it was not running. Raises Held while it is used."""
        if not self.folder.is_dir():
            return False
        with self._lock("start.lock"):
            was_running = self.is_running()
            if was_running and not self._stop_if_unused(even_kept=True):
                raise Held(
                    "the embedded database is in use",
                    expected="no other filmgate process",
                    got="at least one process that uses it",
                    hint="Wait: it stops by itself when the last process ends",
                )
            self._keep_mark.unlink(missing_ok=True)
        self._await_supervisor_exit()
        return was_running

    def supervise(self, watch_lock: int) -> NoReturn:
        """Wait until no process uses the server, stop it and exit: the work of the supervisor.

        `watch_lock` is the file descriptor that holds `watch.lock`. The supervisor releases it and
        exits while it still holds the start lock, so that the next user sees that none is running.
        """
        while True:
            with self._lock("users.lock"):
                pass
            with self._lock("start.lock"):
                if self._keep_mark.exists() or self._stop_if_unused():
                    fcntl.flock(watch_lock, fcntl.LOCK_UN)
                    os._exit(0)

    @property
    def url(self) -> str:
        """The URL at which the server listens while it runs."""
        return f"postgresql://filmgate@/postgres?host={quote(str(self._socket_folder))}"

    def exists(self) -> bool:
        """Whether the cluster was created, running or not."""
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
        """The cluster's folder; a folder in /tmp where that path is too long or contains characters
        that have a meaning in PostgreSQL's settings."""
        folder = self._cluster
        is_short = len(os.fsencode(folder / SOCKET_NAME)) <= LONGEST_SOCKET_PATH
        if is_short and not set(str(folder)) & set(",\"'\\"):
            return folder
        name = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
        return Path("/tmp") / f"filmgate-{os.getuid()}-{name}"  # noqa: S108 - checked when made

    @contextmanager
    def _lock(self, name: str, *, wait_s: float | None = None) -> Iterator[bool]:
        """Hold a lock file. Yields False if it is still locked after `wait_s` seconds; None
        waits without limit."""
        with (self.folder / name).open("a+b") as file:
            yield _acquire(file, wait_s)

    def _ensure_running(self) -> None:
        """Create the cluster and start the server if necessary. The caller holds the start lock and
        counts as a user."""
        programs = programs_folder()
        if not self._data.exists():
            self._create(programs, self._identity(programs))
        if not self._keep_mark.exists():
            self._start_supervisor()
        if not self.is_running():
            self._start(programs, self._identity(programs))

    def _create(self, programs: Path, identity: ProcessIdentity) -> None:
        """Create the data folder under a unique name, then rename it."""
        draft = Path(tempfile.mkdtemp(prefix="data.new.", dir=self._cluster))
        identity.own(draft)
        command = [str(programs / "initdb"), "-D", str(draft), "-U", "filmgate", "--auth=trust"]
        command += ["--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        done = identity.run(command)
        if done.returncode != 0:
            shutil.rmtree(draft, ignore_errors=True)
            raise unavailable("the embedded database could not be created", done.stdout)
        draft.rename(self._data)
        for leftover in self._cluster.glob("data.new.*"):
            shutil.rmtree(leftover, ignore_errors=True)

    def _start(self, programs: Path, identity: ProcessIdentity) -> None:
        """Start the server and wait until it is ready; no shell interprets its paths."""
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
        raise unavailable("the embedded database does not start", read_log(log))

    def _make_socket_folder(self, identity: ProcessIdentity) -> None:
        """Create the socket folder; raises Unavailable if another user's file has its name."""
        sockets = self._socket_folder
        sockets.mkdir(mode=0o700, exist_ok=True)
        found = sockets.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in {os.getuid(), identity.uid}:
            raise Unavailable(
                "the folder for the database's socket belongs to another user",
                expected=f"{sockets}, a folder of user {identity.uid}",
                got=f"a file or folder of user {found.st_uid}",
                hint="Remove it, or set FILMGATE_HOME to a shorter path, which does not need it",
            )
        if identity.prefix != WITH_CAPABILITY or sockets == self._cluster:
            identity.own(sockets)
        if found.st_mode & 0o077:
            sockets.chmod(0o700)

    def _is_ready_under(self, pid: int) -> bool:
        """Wait until the server accepts connections; False if its process ended before."""
        pid_file = self._data / "postmaster.pid"
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            try:
                lines = pid_file.read_text().splitlines()
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
        """Wait until the process in `postmaster.pid` has left the system's process table.

        A killed server stays there as a zombie until its parent reaps it, and PostgreSQL, rightly,
        does not start beside it. If the number now belongs to another program (after a restart of
        the machine), the file is removed, or PostgreSQL would never start again.
        """
        pid_file = self._data / "postmaster.pid"
        deadline = time.monotonic() + LINGER_TIMEOUT_S
        while time.monotonic() < deadline:
            try:
                pid = int(pid_file.read_text().split()[0])
                name = process_name(pid)
            except (FileNotFoundError, ValueError, IndexError, ProcessLookupError):
                return
            if "postgres" not in name:
                pid_file.unlink(missing_ok=True)
                return
            time.sleep(RETRY_AFTER_S)

    def _stop_if_unused(self, *, even_kept: bool = False) -> bool:
        """Stop the server unless processes use it; return whether it is stopped.

        The caller holds the start lock and is not a user.
        """
        with self._lock("users.lock", wait_s=LOCK_TIMEOUT_S) as is_free:
            if not is_free or (self._keep_mark.exists() and not even_kept):
                return False
            if self.is_running():
                self._stop()
            return True

    def _stop(self) -> None:
        """Stop the server in PostgreSQL's mode `fast`: it disconnects its clients.

        `pg_ctl` does the same, but not as root. The user of the server cannot always enter its
        folder: an operator may have closed it while the server ran.
        """
        try:
            pid = int((self._data / "postmaster.pid").read_text().split()[0])
            if pid <= 0 or "postgres" not in process_name(pid):
                # The user of the server can write any number, and this process may be root's.
                raise unavailable("the embedded database does not stop", f"process {pid}")
            os.kill(pid, signal.SIGINT)
        except (FileNotFoundError, ProcessLookupError):
            return
        except PermissionError as error:
            raise unavailable("the embedded database does not stop", str(error)) from error
        deadline = time.monotonic() + STOP_TIMEOUT_S
        while is_alive(pid):
            if time.monotonic() > deadline:
                log = read_log(self._cluster / "server.log")
                raise unavailable("the embedded database does not stop", log)
            time.sleep(POLL_S)

    def _start_supervisor(self) -> None:
        """Start a supervisor unless one is running. It is orphaned at once, so that it is not a
        child of this process.

        It inherits the lock on `watch.lock`: the lock is held from before it starts until the
        kernel has ended it.
        """
        with (self.folder / "watch.lock").open("a+b") as watch_lock:
            if not _acquire(watch_lock, LOCK_TIMEOUT_S):
                return
            number = watch_lock.fileno()
            supervisor = [sys.executable, "-m", "filmgate.db.supervisor", str(self.folder)]
            subprocess.run(
                ["/bin/sh", "-c", '"$@" &', "sh", *supervisor, str(number)],
                check=True,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                pass_fds=[number],
            )

    def _await_supervisor_exit(self) -> None:
        """Wait until the supervisor has ended, which takes moments once the server is stopped.

        Returns early if another process has started the server again.
        """
        deadline = time.monotonic() + SUPERVISOR_EXIT_TIMEOUT_S
        while time.monotonic() < deadline and not self.is_running():
            with (self.folder / "watch.lock").open("a+b") as watch_lock:
                try:
                    fcntl.flock(watch_lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    time.sleep(POLL_S)
                else:
                    return

    def _identity(self, programs: Path) -> ProcessIdentity:
        """Choose the user that runs the server, and make it the owner of the cluster.

        The server must not be running. As root, the server runs in a user namespace. Then the files
        belong to root, and no other process can connect. Where namespaces are forbidden, it runs as
        the unprivileged user.
        """
        is_new = not self._cluster.exists()
        self._cluster.mkdir(mode=0o700, parents=True, exist_ok=True)
        owner = self._cluster.stat().st_uid
        if os.getuid() != 0:
            return ProcessIdentity(uid=os.getuid())
        if owner not in {0, UNPRIVILEGED_UID}:
            return ProcessIdentity(uid=owner)
        if can_run_with(NAMESPACE):
            identity = ProcessIdentity(uid=0, prefix=NAMESPACE)
        else:
            identity = self._identity_without_namespace(programs)
        if identity.uid != owner:
            _change_owner(self._cluster, identity.uid)
        if identity.uid != 0 and (is_new or identity.uid != owner):
            self._warn_of_forbidden_namespaces(identity)
        return identity

    def _identity_without_namespace(self, programs: Path) -> ProcessIdentity:
        closed = [*closed_to_others(self.folder), *closed_to_others(programs)]
        if not closed:
            return ProcessIdentity(uid=UNPRIVILEGED_UID)
        if can_run_with(WITH_CAPABILITY):
            return ProcessIdentity(uid=UNPRIVILEGED_UID, prefix=WITH_CAPABILITY)
        raise Unavailable(
            "root cannot run the embedded database in a folder that is closed to other users",
            expected=f"permission to create user namespaces, or the capability {CAPABILITY}",
            got=f"neither; {closed[0]} is closed",
            hint="Run filmgate as another user, or set FILMGATE_DATABASE_URL to a server",
        )

    def _warn_of_forbidden_namespaces(self, identity: ProcessIdentity) -> None:
        who = (
            "Only root can connect to it."
            if identity.prefix
            else "All processes of that user have all permissions in the database. To prevent "
            f"this, close the folder: chmod go-rwx {shlex.quote(str(self.folder))}"
        )
        self.warn(
            "User namespaces are forbidden on this machine: the embedded database runs as user "
            f"{identity.uid}. {who}"
        )


def _change_owner(folder: Path, uid: int) -> None:
    """Change the owner of a folder and of all files in it, the folder itself last."""
    for parent, _, names in os.walk(folder, topdown=False):
        for path in (*(Path(parent) / name for name in names), Path(parent)):
            os.chown(path, uid, uid, follow_symlinks=False)


def _acquire(file: IO[bytes], wait_s: float | None) -> bool:
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
