"""Fixtures for tests that use the database."""

import os
from collections.abc import Iterator

import psycopg
import pytest
from hypothesis import HealthCheck, settings

from filmgate.core.ids import AssetId
from filmgate.db.artifact_queries import ArtifactQueries
from filmgate.db.connection import connected

FILM = AssetId("film")

EXAMPLES = int(os.environ.get("FILMGATE_EXAMPLES", "25"))
"""Examples per hypothesis test; `make nightly` sets 100."""

ON_THE_DATABASE = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture
def connection(database_url: str) -> Iterator[psycopg.Connection]:
    with connected(database_url) as opened:
        yield opened


@pytest.fixture
def serving(connection: psycopg.Connection) -> ArtifactQueries:
    return ArtifactQueries(connection)
