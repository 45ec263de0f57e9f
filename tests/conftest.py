"""Fixtures that more than one kind of test needs."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from hypothesis import settings

from filmgate.db.connection import connected
from filmgate.db.embedded import EmbeddedPostgres

settings.register_profile("filmgate", deadline=None)  # the first example pays for imports
settings.load_profile("filmgate")

pytest_plugins = ["support.database", "support.s3", "support.two_nodes"]


@pytest.fixture(scope="session")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real PostgreSQL for the whole session; no test of its cuts the power."""
    with EmbeddedPostgres(tmp_path_factory.mktemp("server") / "pg").used() as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("alter system set fsync = off")
            connection.execute("alter system set synchronous_commit = off")
            connection.execute("select pg_reload_conf()")
        yield url


@contextmanager
def database(server_url: str, template: str = "template0") -> Iterator[str]:
    name = f"test_{uuid4().hex}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f'create database "{name}" template "{template}" strategy file_copy')
        yield server_url.replace("/postgres?", f"/{name}?")
        connection.execute(f'drop database "{name}" with (force)')


@pytest.fixture(scope="session")
def template(server_url: str) -> str:
    """The name of a database with the schema: a copy is made sooner than the schema."""
    name = "filmgate"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f'create database "{name}" template template0')
    with connected(server_url.replace("/postgres?", f"/{name}?")):
        return name


@pytest.fixture
def bare_database_url(server_url: str) -> Iterator[str]:
    """A database of one's own without even the schema."""
    with database(server_url) as url:
        yield url


@pytest.fixture
def database_url(server_url: str, template: str) -> Iterator[str]:
    """A database of one's own: the schema, and nothing in it."""
    with database(server_url, template) as url:
        yield url


@pytest.fixture(scope="module")
def module_database_url(server_url: str, template: str) -> Iterator[str]:
    """A database for the tests of a module."""
    with database(server_url, template) as url:
        yield url


@pytest.fixture(scope="session")
def test_data() -> Path:
    """Real media with known truth."""
    named = os.environ.get("FILMGATE_TEST_DATA")
    if not named or not Path(named).is_dir():
        pytest.skip("real media: set FILMGATE_TEST_DATA to the folder that holds it")
    return Path(named)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """An input for the small plan."""
    path = tmp_path / "source.txt"
    path.write_text("abc")
    return path


@pytest.fixture
def in_memory(tmp_path: Path) -> Iterator[Path]:
    """A folder for much that is small, on no disk where the system has such a place."""
    shared = Path("/dev/shm")
    if not os.access(shared, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=shared) as folder:
        yield Path(folder)
