"""The embedded server runs exactly as long as a process uses it."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psutil
import psycopg
import pytest

from filmgate.core.errors import Held, Invalid, NotPermitted, Unavailable
from filmgate.db.connection import connected
from filmgate.db.embedded import SOCKET_NAME, EmbeddedPostgres
from filmgate.db.migrations import HEAD
from filmgate.db.programs import UNPRIVILEGED_UID

needs_root = pytest.mark.skipif(os.getuid() != 0, reason="needs root")

TIMEOUT_S = 20
"""How long a test waits for an event that normally takes moments."""

USE_SERVER = """
import sys
from pathlib import Path
from filmgate.db.migrations import HEAD
from filmgate.db.embedded import EmbeddedPostgres
import psycopg
with EmbeddedPostgres(Path(sys.argv[1])).running() as url:
    with psycopg.connect(url) as connection:
        connection.execute("select pg_advisory_xact_lock(1)")
        connection.execute("create table if not exists counted (n int)")
        connection.execute("insert into counted values (1)")
    print("ready", flush=True)
    sys.stdin.readline()
"""


def start_user(folder: Path) -> subprocess.Popen[str]:
    """Start a process that uses the server until its standard input ends."""
    child = subprocess.Popen(
        [sys.executable, "-c", USE_SERVER, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    return child


def end(child: subprocess.Popen[str]) -> None:
    with child:
        pass


def eventually(is_true: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        if is_true():
            return True
        time.sleep(0.02)
    return False


def processes_of(folder: Path) -> list[str]:
    """List the command lines of all processes that contain the folder's path."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if str(folder) in command:
                found.append(command)
    return found


@pytest.fixture
def postgres(tmp_path: Path) -> EmbeddedPostgres:
    return EmbeddedPostgres(tmp_path / "pg")


def test_no_process_remains_after_the_last_user(postgres: EmbeddedPostgres) -> None:
    with postgres.running() as url, psycopg.connect(url) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
    assert not postgres.is_running()
    assert processes_of(postgres.folder) == []


def test_two_processes_share_a_server_that_the_first_to_end_does_not_stop(
    postgres: EmbeddedPostgres,
) -> None:
    one, other = start_user(postgres.folder), start_user(postgres.folder)
    end(one)
    assert postgres.is_running()
    end(other)
    assert not postgres.is_running()


def test_processes_that_start_concurrently_share_one_server(postgres: EmbeddedPostgres) -> None:
    script = USE_SERVER.replace("sys.stdin.readline()", "")
    children = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(postgres.folder)], stdout=subprocess.DEVNULL
        )
        for _ in range(4)
    ]
    assert [child.wait(TIMEOUT_S * 3) for child in children] == [0] * 4
    with postgres.running() as url, psycopg.connect(url) as connection:
        assert connection.execute("select count(*) from counted").fetchone() == (4,)


def test_the_server_stops_after_its_user_was_killed(postgres: EmbeddedPostgres) -> None:
    child = start_user(postgres.folder)
    child.kill()
    end(child)
    assert eventually(lambda: not processes_of(postgres.folder))
    assert not postgres.is_running()


def test_committed_rows_survive_a_killed_server(
    postgres: EmbeddedPostgres,
) -> None:
    child = start_user(postgres.folder)
    pid = int((postgres.folder / "cluster" / "data" / "postmaster.pid").read_text().split()[0])
    os.kill(pid, signal.SIGKILL)
    child.kill()
    end(child)
    with postgres.running() as url, psycopg.connect(url) as connection:
        assert connection.execute("select count(*) from counted").fetchone() == (1,)


def test_a_kept_server_runs_until_it_is_stopped(
    postgres: EmbeddedPostgres,
) -> None:
    url = postgres.keep()
    try:
        with psycopg.connect(url):
            pass
        with postgres.running():
            pass
        assert postgres.is_running()
    finally:
        assert postgres.stop()
    assert not postgres.stop()
    assert processes_of(postgres.folder) == []


def test_a_server_in_use_cannot_be_stopped(postgres: EmbeddedPostgres) -> None:
    with postgres.running(), pytest.raises(Held, match="in use"):
        postgres.stop()


def test_the_server_starts_in_a_path_too_long_for_a_socket(tmp_path: Path) -> None:
    postgres = EmbeddedPostgres(tmp_path / ("long" * 30) / "pg")
    with postgres.running() as url, psycopg.connect(url) as connection:
        assert connection.execute("select 1").fetchone() == (1,)


@pytest.mark.parametrize("name", ["Bob's", "a,b", 'say "hi"', "$(touch pwned)", "sp ace", "ü"])
def test_the_server_starts_in_a_path_with_special_characters(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name / "pg"
    with EmbeddedPostgres(folder).running() as url, psycopg.connect(url) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
    assert not list(tmp_path.rglob("pwned"))
    assert not Path("/pwned").exists()


def test_a_user_that_starts_while_another_ends_has_a_supervisor_and_blocks_nobody(
    postgres: EmbeddedPostgres,
) -> None:
    for _ in range(3):
        one = start_user(postgres.folder)
        with subprocess.Popen(
            [sys.executable, "-c", USE_SERVER, str(postgres.folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as other:
            began = time.monotonic()
            end(one)
            assert time.monotonic() - began < TIMEOUT_S
            assert other.stdout is not None
            assert other.stdout.readline() == "ready\n"
            other.kill()
        assert eventually(lambda: not processes_of(postgres.folder))


def test_the_server_starts_in_a_private_folder(tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    with EmbeddedPostgres(private / "pg").running() as url, psycopg.connect(url) as connection:
        assert connection.execute("select 1").fetchone() == (1,)


def interpreter_for_all() -> str | None:
    """Find a Python of this version that any user may start."""
    name = f"python3.{sys.version_info.minor}"
    candidates = [sys.executable, shutil.which(name, path="/usr/bin:/usr/local/bin")]
    for path in candidates:
        if path and all(p.stat().st_mode & 1 for p in Path(path).resolve().parents):
            return path
    return None


@needs_root
def test_a_user_without_special_rights_can_run_the_server() -> None:
    python = interpreter_for_all()
    if python is None:
        pytest.skip("a Python of this version that another user may start is missing")
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        folder = Path(name)
        os.chown(folder, UNPRIVILEGED_UID, UNPRIVILEGED_UID)
        done = subprocess.run(
            [python, "-c", USE_SERVER, str(folder / "pg")],
            input="",
            text=True,
            capture_output=True,
            user=UNPRIVILEGED_UID,
            group=UNPRIVILEGED_UID,
            extra_groups=[],
            env={"PYTHONPATH": os.pathsep.join(sys.path), "PATH": os.environ["PATH"]},
            check=False,
        )
        assert done.stdout == "ready\n", done.stderr
        assert not EmbeddedPostgres(folder / "pg").is_running()


CONNECT = """
import socket, sys
try:
    socket.socket(socket.AF_UNIX).connect(sys.argv[1])
except OSError as error:
    print(type(error).__name__)
else:
    print("connected")
"""


def connect_as_server_user(url: str) -> str:
    """Connect to the server's socket as the unprivileged user; return the name of the error."""
    python = interpreter_for_all()
    if python is None:
        pytest.skip("a Python of this version that another user may start is missing")
    folder = parse_qs(urlsplit(url).query)["host"][0]
    done = subprocess.run(
        [python, "-c", CONNECT, f"{folder}/{SOCKET_NAME}"],
        capture_output=True,
        text=True,
        check=True,
        user=UNPRIVILEGED_UID,
        group=UNPRIVILEGED_UID,
        extra_groups=[],
    )
    return done.stdout.strip()


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def forbid(monkeypatch: pytest.MonkeyPatch, folder: Path, *programs: str) -> None:
    """Make programs fail, as they do on a machine that forbids what they do."""
    folder.mkdir()
    for program in programs:
        (folder / program).write_text("#!/bin/sh\nexit 1\n")
        (folder / program).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


@needs_root
@pytest.mark.parametrize("name", ["pg", "long" * 30])
def test_other_processes_of_the_user_of_a_server_of_root_cannot_connect(
    open_folder: Path, name: str
) -> None:
    """Not even in an open folder, or where the socket is in /tmp."""
    postgres = EmbeddedPostgres(open_folder / name)
    with postgres.running() as url:
        assert connect_as_server_user(url) in {"PermissionError", "FileNotFoundError"}
        pid = int((postgres.folder / "cluster/data/postmaster.pid").read_text().split()[0])
        assert psutil.Process(pid).uids().effective == 0


@needs_root
@pytest.mark.parametrize("name", ["pg", "long" * 30])
def test_root_runs_the_server_with_a_capability_where_namespaces_are_forbidden_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    forbid(monkeypatch, tmp_path / "bin", "unshare")
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    warnings: list[str] = []
    for _ in range(2):
        with EmbeddedPostgres(private / name, warn=warnings.append).running() as url:
            assert connect_as_server_user(url) == "PermissionError"
            with psycopg.connect(url) as connection:
                assert connection.execute("select 1").fetchone() == (1,)
    assert warnings == [
        "User namespaces are forbidden on this machine: the embedded database runs as user "
        f"{UNPRIVILEGED_UID}. Only root can connect to it."
    ]


@needs_root
def test_a_cluster_of_the_unprivileged_user_keeps_its_rows_in_a_namespace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Earlier releases created it; root becomes its owner."""
    postgres = EmbeddedPostgres(tmp_path / "pg")
    cluster = postgres.folder / "cluster"
    with monkeypatch.context() as patch:
        forbid(patch, tmp_path / "bin", "unshare")
        end(start_user(postgres.folder))
    assert {path.lstat().st_uid for path in cluster.rglob("*")} == {UNPRIVILEGED_UID}
    with postgres.running() as url, psycopg.connect(url) as connection:
        assert connection.execute("select count(*) from counted").fetchone() == (1,)
    assert {path.lstat().st_uid for path in (cluster, *cluster.rglob("*"))} == {0}


@needs_root
def test_a_kept_server_can_be_stopped_after_its_folder_was_closed(open_folder: Path) -> None:
    postgres = EmbeddedPostgres(open_folder / "pg")
    postgres.keep()
    open_folder.chmod(0o700)
    assert postgres.stop()
    assert processes_of(postgres.folder) == []


@needs_root
def test_root_without_namespaces_and_capabilities_gets_an_error_that_names_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forbid(monkeypatch, tmp_path / "bin", "unshare", "setpriv")
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    with (
        pytest.raises(Unavailable, match="closed to other users") as caught,
        EmbeddedPostgres(private / "pg").running(),
    ):
        pass
    assert "user namespaces" in str(caught.value)
    assert "dac_override" in str(caught.value)


def test_no_file_of_a_cluster_is_open_to_other_users(postgres: EmbeddedPostgres) -> None:
    earlier = os.umask(0)
    try:
        with postgres.running():
            cluster = [postgres.folder, *(postgres.folder / "cluster").rglob("*")]
            modes = {str(path): path.lstat().st_mode & 0o077 for path in cluster}
    finally:
        os.umask(earlier)
    assert {path: mode for path, mode in modes.items() if mode} == {}


@needs_root
def test_a_cluster_moved_to_a_closed_folder_runs_there(open_folder: Path, tmp_path: Path) -> None:
    postgres = EmbeddedPostgres(open_folder / "pg")
    end(start_user(postgres.folder))
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    moved = EmbeddedPostgres(Path(shutil.move(postgres.folder, closed / "pg")))
    with moved.running() as url, psycopg.connect(url) as connection:
        assert connection.execute("select count(*) from counted").fetchone() == (1,)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:secret@127.0.0.1:1/db",
        "postgresql://me@127.0.0.1:1/db?password=secret",
        "postgresql:///db?user=me&password=secret&host=127.0.0.1&port=1",
    ],
)
def test_an_unreachable_server_is_reported_without_its_password(url: str) -> None:
    with pytest.raises(Unavailable, match="does not answer") as caught, connected(url):
        pass
    assert "secret" not in str(caught.value)


def test_a_missing_permission_is_reported(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("drop role if exists guest")
        connection.execute("create role guest login")
    guest = database_url.replace("filmgate@", "guest@")
    with pytest.raises(NotPermitted, match="lacks a permission"), connected(guest):
        pass


def test_a_database_of_a_later_version_is_refused(database_url: str) -> None:
    with connected(database_url) as connection:
        connection.execute(
            "update alembic_version set version_num = '9999' where version_num = %s", [HEAD]
        )
    with pytest.raises(Invalid, match="another version"), connected(database_url):
        pass


def test_concurrent_migrations_all_succeed(bare_database_url: str) -> None:
    script = (
        "import sys; from filmgate.db.connection import connected\n"
        "with connected(sys.argv[1]) as c: print(c.execute('select count(*) from runs').fetchone())"
    )
    children = [
        subprocess.Popen(
            [sys.executable, "-c", script, bare_database_url], stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    assert [child.communicate()[0] for child in children] == ["(0,)\n"] * 3


def test_the_number_in_the_pid_file_stops_no_other_program(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path)
    data = tmp_path / "cluster" / "data"
    data.mkdir(parents=True)
    with subprocess.Popen(["sleep", "60"]) as other:
        for number in (other.pid, -other.pid):
            (data / "postmaster.pid").write_text(f"{number}\n")
            with pytest.raises(Unavailable, match="does not stop"):
                server._stop()
        assert other.poll() is None
        other.kill()
