"""The embedded server lives exactly as long as somebody uses it."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from filmgate.core.errors import Held, Invalid, NotPermitted, Unavailable
from filmgate.db.connection import connected
from filmgate.db.embedded import EmbeddedPostgres
from filmgate.db.programs import NOBODY

PATIENCE_S = 20
"""How long a test waits for something that takes moments."""

USE = """
import sys
from pathlib import Path
from filmgate.db.embedded import EmbeddedPostgres
import psycopg
with EmbeddedPostgres(Path(sys.argv[1])).used() as url:
    with psycopg.connect(url) as connection:
        connection.execute("select pg_advisory_xact_lock(1)")
        connection.execute("create table if not exists kept (n int)")
        connection.execute("insert into kept values (1)")
    print("ready", flush=True)
    sys.stdin.readline()
"""


def user(folder: Path) -> subprocess.Popen[str]:
    """A process that uses the server until its standard input ends."""
    child = subprocess.Popen(
        [sys.executable, "-c", USE, str(folder)],
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


def eventually(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(0.02)
    return False


def processes_of(folder: Path) -> list[str]:
    """Command lines of all processes that name the folder."""
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


def test_the_last_user_leaves_no_process_behind(postgres: EmbeddedPostgres) -> None:
    with postgres.used() as url, psycopg.connect(url) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
    assert not postgres.is_running()
    assert processes_of(postgres.folder) == []


def test_two_processes_share_one_server_and_the_first_to_go_does_not_stop_it(
    postgres: EmbeddedPostgres,
) -> None:
    one, other = user(postgres.folder), user(postgres.folder)
    end(one)
    assert postgres.is_running()
    end(other)
    assert not postgres.is_running()


def test_many_that_start_at_once_end_up_on_one_server(postgres: EmbeddedPostgres) -> None:
    script = USE.replace("sys.stdin.readline()", "")
    children = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(postgres.folder)], stdout=subprocess.DEVNULL
        )
        for _ in range(4)
    ]
    assert [child.wait(PATIENCE_S * 3) for child in children] == [0] * 4
    with postgres.used() as url, psycopg.connect(url) as connection:
        assert connection.execute("select count(*) from kept").fetchone() == (4,)


def test_a_user_that_was_killed_leaves_no_server_behind(postgres: EmbeddedPostgres) -> None:
    child = user(postgres.folder)
    child.kill()
    end(child)
    assert eventually(lambda: not processes_of(postgres.folder))
    assert not postgres.is_running()


def test_what_was_committed_is_there_after_the_server_was_killed(
    postgres: EmbeddedPostgres,
) -> None:
    child = user(postgres.folder)
    pid = int((postgres.folder / "cluster" / "data" / "postmaster.pid").read_text().split()[0])
    os.kill(pid, signal.SIGKILL)
    child.kill()
    end(child)
    with postgres.used() as url, psycopg.connect(url) as connection:
        assert connection.execute("select count(*) from kept").fetchone() == (1,)


def test_a_server_that_was_asked_to_stay_stays_until_it_is_stopped(
    postgres: EmbeddedPostgres,
) -> None:
    url = postgres.keep()
    try:
        with psycopg.connect(url):
            pass
        with postgres.used():
            pass
        assert postgres.is_running()
    finally:
        assert postgres.stop()
    assert not postgres.stop()
    assert processes_of(postgres.folder) == []


def test_a_server_in_use_is_not_stopped_under_its_users(postgres: EmbeddedPostgres) -> None:
    with postgres.used(), pytest.raises(Held, match="in use"):
        postgres.stop()


def test_a_path_too_long_for_a_socket_is_no_hindrance(tmp_path: Path) -> None:
    postgres = EmbeddedPostgres(tmp_path / ("long" * 30) / "pg")
    with postgres.used() as url, psycopg.connect(url) as connection:
        assert connection.execute("select 1").fetchone() == (1,)


@pytest.mark.parametrize("name", ["Bob's", "a,b", 'say "hi"', "$(touch pwned)", "sp ace", "ü"])
def test_a_path_is_a_path_whatever_signs_are_in_it(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name / "pg"
    with EmbeddedPostgres(folder).used() as url, psycopg.connect(url) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
    assert not list(tmp_path.rglob("pwned"))
    assert not Path("/pwned").exists()


def test_a_user_who_comes_as_another_goes_is_watched_over_and_keeps_nobody_waiting(
    postgres: EmbeddedPostgres,
) -> None:
    for _ in range(3):
        one = user(postgres.folder)
        with subprocess.Popen(
            [sys.executable, "-c", USE, str(postgres.folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as other:
            began = time.monotonic()
            end(one)
            assert time.monotonic() - began < PATIENCE_S
            assert other.stdout is not None
            assert other.stdout.readline() == "ready\n"
            other.kill()
        assert eventually(lambda: not processes_of(postgres.folder))


def test_a_folder_that_nobody_else_may_enter_will_do(tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    with EmbeddedPostgres(private / "pg").used() as url, psycopg.connect(url) as connection:
        assert connection.execute("select 1").fetchone() == (1,)


def interpreter_for_all() -> str | None:
    """A Python of this version that any user may start."""
    wanted = f"python3.{sys.version_info.minor}"
    found = [sys.executable, shutil.which(wanted, path="/usr/bin:/usr/local/bin")]
    for path in found:
        if path and all(p.stat().st_mode & 1 for p in Path(path).resolve().parents):
            return path
    return None


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_an_ordinary_user_needs_no_rights() -> None:
    python = interpreter_for_all()
    if python is None:
        pytest.skip("no Python of this version that another user may start")
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        folder = Path(name)
        os.chown(folder, NOBODY, NOBODY)
        done = subprocess.run(
            [python, "-c", USE, str(folder / "pg")],
            input="",
            text=True,
            capture_output=True,
            user=NOBODY,
            group=NOBODY,
            extra_groups=[],
            env={"PYTHONPATH": os.pathsep.join(sys.path), "PATH": os.environ["PATH"]},
            check=False,
        )
        assert done.stdout == "ready\n", done.stderr
        assert not EmbeddedPostgres(folder / "pg").is_running()


@pytest.mark.skipif(os.getuid() != 0, reason="who is not root runs the server as himself")
def test_a_home_that_moved_where_its_user_may_not_enter_says_so(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        Path(name).chmod(0o755)
        there = EmbeddedPostgres(Path(name) / "pg")
        with there.used():
            pass
        if (there.folder / "cluster").stat().st_uid != NOBODY:
            pytest.skip("PostgreSQL's programs lie where others may not enter")
        closed = tmp_path / "closed"
        closed.mkdir(mode=0o700)
        moved = EmbeddedPostgres(Path(shutil.move(there.folder, closed / "pg")))
    with pytest.raises(Unavailable, match="may not enter") as caught, moved.used():
        pass
    assert str(closed) in str(caught.value)
    subprocess.run(["chown", "-R", "root", moved.folder / "cluster"], check=True)  # as it advises
    with moved.used() as url, psycopg.connect(url) as connection:
        assert connection.execute("select 1").fetchone() == (1,)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:secret@127.0.0.1:1/db",
        "postgresql://me@127.0.0.1:1/db?password=secret",
        "postgresql:///db?user=me&password=secret&host=127.0.0.1&port=1",
    ],
)
def test_a_server_that_is_away_is_told_without_its_password(url: str) -> None:
    with pytest.raises(Unavailable, match="does not answer") as caught, connected(url):
        pass
    assert "secret" not in str(caught.value)


def test_a_server_that_refuses_is_told_as_such(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("drop role if exists guest")
        connection.execute("create role guest login")
    guest = database_url.replace("filmgate@", "guest@")
    with pytest.raises(NotPermitted, match="does not let this user"), connected(guest):
        pass


def test_a_database_of_a_later_version_is_refused(database_url: str) -> None:
    with connected(database_url) as connection:
        connection.execute("update alembic_version set version_num = '9999'")
    with pytest.raises(Invalid, match="another version"), connected(database_url):
        pass


def test_many_that_migrate_at_once_all_find_the_schema(bare_database_url: str) -> None:
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
