"""Fixtures of whoever talks to the database."""

import os
from collections.abc import Iterator

import psycopg
import pytest
from hypothesis import HealthCheck, settings

from filmgate.core.ids import AssetId
from filmgate.db.connection import connected
from filmgate.db.serving import Serving

FILM = AssetId("film")

EXAMPLES = int(os.environ.get("FILMGATE_EXAMPLES", "25"))
"""`make nightly` asks for a hundred."""

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
def serving(connection: psycopg.Connection) -> Serving:
    return Serving(connection)
