"""Connections, with the driver's errors told in the product's words."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from psycopg.types.json import set_json_loads
from pydantic_core import from_json

from filmgate.core.errors import Conflict, FilmgateError, Invalid, NotPermitted, Unavailable
from filmgate.db.migrations import HEAD

CONNECT_TIMEOUT_S = 10
TOO_MUCH = (psycopg.errors.ProgramLimitExceeded, psycopg.errors.StatementTooComplex)
"""What the server cannot hold; the driver counts it among the server's own troubles."""

_MIGRATION_LOCK = 0x46494C4D
"""Any number, the same for all: only one process migrates at a time."""


@contextmanager
def connected(url: str, *, is_ours: bool = True) -> Iterator[psycopg.Connection]:
    """A connection to a database with the current schema; Unavailable where there is none.

    The schema of a database that is not `is_ours` is left as it is.

    Statements are planned once: what serving asks is asked the same way every time.

    What the server says inside the block is told in the product's words: Unavailable where it
    went away, NotPermitted where it refuses, Invalid for the rest.
    """
    try:
        connection = psycopg.connect(
            url, connect_timeout=CONNECT_TIMEOUT_S, application_name="filmgate", autocommit=True
        )
    except psycopg.Error as error:
        raise Unavailable(
            "the database does not answer",
            expected=f"a PostgreSQL server at {redacted(url)}",
            got=_said(error),
            hint="Start it, or mend FILMGATE_DATABASE_URL; runs are kept on disk meanwhile"
            if is_ours
            else "Start it, or mend the address",
        ) from error
    try:
        with connection:
            if is_ours:
                migrate(connection, url)
            prepared_for_serving(connection)
            yield connection
    except psycopg.Error as error:
        raise translated(error) from error


def prepared_for_serving(connection: psycopg.Connection) -> None:
    """Statements are planned once: what serving asks is asked the same way every time."""
    connection.execute("set plan_cache_mode = force_generic_plan; set timezone = 'UTC'")
    set_json_loads(from_json, connection)  # payloads, many of them: a third of the time


def is_of_the_server(error: psycopg.Error) -> bool:
    """Whether the server is at fault, or another session, and not what it was given."""
    return isinstance(error, psycopg.OperationalError) and not isinstance(error, TOO_MUCH)


def translated(error: psycopg.Error) -> FilmgateError:
    """What the server says, in the product's words."""
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return NotPermitted(
            "the database does not let this user do that",
            got=_said(error),
            hint="The first command needs the right to create tables",
        )
    if isinstance(error, psycopg.errors.UndefinedTable):
        return Invalid(
            "this is no database of Filmgate, or of an older one",
            got=_said(error),
            hint="Use the one that runs are published from; its Filmgate brings it up to date",
        )
    if isinstance(error, psycopg.errors.DeadlockDetected):
        return Conflict(
            "another session was in the way",
            got=_said(error),
            hint="Nothing was half-written; do it again",
        )
    if isinstance(error, TOO_MUCH):
        return Invalid("this is too much for the database", got=_said(error))
    if isinstance(error, psycopg.OperationalError):
        return Unavailable(
            "the database went away",
            got=_said(error),
            hint="Nothing was half-written; try again when it is back",
        )
    return Invalid("the database refuses this", got=_said(error))


def _said(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def migrate(connection: psycopg.Connection, url: str) -> None:
    """Bring the schema up to date; cheap where it is."""
    if _revision(connection) == HEAD:
        return
    import sqlalchemy  # half a second that only a migration needs
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", "filmgate.db:migrations")
    engine = sqlalchemy.create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(url), poolclass=sqlalchemy.NullPool
    )
    try:
        with engine.begin() as session:
            session.exec_driver_sql(f"select pg_advisory_xact_lock({_MIGRATION_LOCK})")
            config.attributes["connection"] = session
            command.upgrade(config, "head")
    except CommandError as error:
        raise Invalid(
            "the database is of another version of Filmgate",
            expected=f"schema {HEAD} or older",
            got=_said(error),
            hint="Use the Filmgate that made it, or another database",
        ) from error
    except sqlalchemy.exc.DBAPIError as error:
        raise error.orig or error from error


def _revision(connection: psycopg.Connection) -> str | None:
    query = sql.SQL("select to_regclass('alembic_version') is not null")
    row = connection.execute(query).fetchone()
    if row is None or not row[0]:
        return None
    found = connection.execute("select version_num from alembic_version").fetchone()
    return found[0] if found else None


def redacted(url: str) -> str:
    """Who and where, of a database URL; nothing else of it."""
    try:
        parts = conninfo_to_dict(url)
    except psycopg.Error:
        return "an address that cannot be read"
    place = f"{parts.get('host') or 'this machine'}:{parts.get('port') or 5432}"
    return f"{parts.get('user') or 'somebody'}@{place}/{parts.get('dbname') or ''}"
