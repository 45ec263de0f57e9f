"""Fixtures for tests that use the database."""

import os
from collections.abc import Iterator

import psycopg
import pytest
from hypothesis import HealthCheck, settings

from filmgate.core.ids import AssetId
from filmgate.db.artifact_queries import ArtifactQueries
from filmgate.db.connection import connected
from filmgate.db.schema import Schema
from filmgate.wiring.pipelines import branches

FILM = AssetId("film")

COMPLETE = Schema(branches=branches())
"""The default schema with the tables of all built-in pipelines."""

EXAMPLES = int(os.environ.get("FILMGATE_EXAMPLES", "25"))
"""Examples per hypothesis test; `make nightly` sets 100."""

ON_THE_DATABASE = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture(scope="session")
def template(server_url: str) -> str:
    """The name of a database with the schema: copying it is faster than migrating."""
    name = "filmgate"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f'create database "{name}" template template0')
    with connected(server_url.replace("/postgres?", f"/{name}?"), COMPLETE):
        return name


@pytest.fixture
def connection(database_url: str) -> Iterator[psycopg.Connection]:
    with connected(database_url) as opened:
        yield opened


@pytest.fixture
def serving(connection: psycopg.Connection) -> ArtifactQueries:
    return ArtifactQueries(connection)
