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

from filmgate.db.embedded import EmbeddedPostgres

settings.register_profile("filmgate", deadline=None)  # the first example includes imports
settings.load_profile("filmgate")

pytest_plugins = ["support.database", "support.s3", "support.two_nodes"]


@pytest.fixture(scope="session")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real PostgreSQL for the whole session, without fsync: no test cuts its power."""
    with EmbeddedPostgres(tmp_path_factory.mktemp("server") / "pg").running() as url:
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


@pytest.fixture
def bare_database_url(server_url: str) -> Iterator[str]:
    """A separate database without the schema."""
    with database(server_url) as url:
        yield url


@pytest.fixture
def database_url(server_url: str, template: str) -> Iterator[str]:
    """A separate database with the schema and without rows."""
    with database(server_url, template) as url:
        yield url


@pytest.fixture(scope="module")
def module_database_url(server_url: str, template: str) -> Iterator[str]:
    """A database that the tests of a module share."""
    with database(server_url, template) as url:
        yield url


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of real media with known ground truth."""
    folder = os.environ.get("FILMGATE_TEST_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("real media are missing: set FILMGATE_TEST_DATA to their folder")
    return Path(folder).resolve()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """An input file for the small test plan."""
    path = tmp_path / "source.txt"
    path.write_text("abc")
    return path


@pytest.fixture
def in_memory(tmp_path: Path) -> Iterator[Path]:
    """A folder for many small files, in memory if the system has /dev/shm."""
    shared = Path("/dev/shm")
    if not os.access(shared, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=shared) as folder:
        yield Path(folder)
