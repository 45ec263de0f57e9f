"""Connections, with the driver's errors told in the product's words."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import sql

from filmgate.core.errors import Unavailable
from filmgate.db.migrations import HEAD

CONNECT_TIMEOUT_S = 10
_MIGRATION_LOCK = 0x46494C4D
"""Any number, the same for all: only one process migrates at a time."""


@contextmanager
def connected(url: str) -> Iterator[psycopg.Connection]:
    """A connection to a database with the current schema; Unavailable where there is none."""
    with _opened(url) as connection:
        migrate(connection, url)
        yield connection


@contextmanager
def _opened(url: str) -> Iterator[psycopg.Connection]:
    try:
        connection = psycopg.connect(
            url, connect_timeout=CONNECT_TIMEOUT_S, application_name="filmgate", autocommit=True
        )
    except psycopg.Error as error:
        raise Unavailable(
            "the database does not answer",
            expected=f"a PostgreSQL server at {redacted(url)}",
            got=str(error).strip(),
            hint="Start it, or mend FILMGATE_DATABASE_URL; runs are kept on disk meanwhile",
        ) from error
    try:
        with connection:
            yield connection
    except psycopg.OperationalError as error:
        raise Unavailable(
            "the database went away",
            got=str(error).strip(),
            hint="Nothing was half-written; try again when it is back",
        ) from error


def migrate(connection: psycopg.Connection, url: str) -> None:
    """Bring the schema up to date; cheap where it is."""
    if _revision(connection) == HEAD:
        return
    import sqlalchemy  # half a second that only a migration needs
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "filmgate.db:migrations")
    engine = sqlalchemy.create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(url), poolclass=sqlalchemy.NullPool
    )
    with engine.begin() as session:
        session.exec_driver_sql(f"select pg_advisory_xact_lock({_MIGRATION_LOCK})")
        config.attributes["connection"] = session
        command.upgrade(config, "head")


def _revision(connection: psycopg.Connection) -> str | None:
    query = sql.SQL("select to_regclass('alembic_version') is not null")
    row = connection.execute(query).fetchone()
    if row is None or not row[0]:
        return None
    found = connection.execute("select version_num from alembic_version").fetchone()
    return found[0] if found else None


def redacted(url: str) -> str:
    """A database URL without its password."""
    head, at, tail = url.rpartition("@")
    scheme, slashes, user = head.partition("//")
    name, colon, _ = user.partition(":")
    return f"{scheme}{slashes}{name}{':***' if colon else ''}{at}{tail}"
