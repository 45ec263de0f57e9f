"""Connections to the database, with the driver's errors translated to Filmgate's."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from psycopg.types.json import set_json_loads
from pydantic_core import from_json

from filmgate.core.errors import Conflict, FilmgateError, Invalid, NotPermitted, Unavailable
from filmgate.db.migrate import migrate
from filmgate.db.schema import FILMGATE, Schema

CONNECT_TIMEOUT_S = 10
LIMIT_ERRORS = (psycopg.errors.ProgramLimitExceeded, psycopg.errors.StatementTooComplex)
"""Errors for input that exceeds a limit; the driver derives them from OperationalError."""


@contextmanager
def connected(
    url: str, schema: Schema = FILMGATE, *, should_migrate: bool = True
) -> Iterator[psycopg.Connection]:
    """Open a connection to a database and migrate it to the current version of the schema.

    Without `should_migrate` the database is that of another installation: it is not changed, and
    its outbox is readable. Raises Unavailable if the server does not answer. The driver's errors
    inside the block are translated, see `translate_error`.
    """
    try:
        connection = psycopg.connect(
            url, connect_timeout=CONNECT_TIMEOUT_S, application_name="filmgate", autocommit=True
        )
    except psycopg.Error as error:
        raise Unavailable(
            "the database does not answer",
            expected=f"a PostgreSQL server at {redact_url(url)}",
            got=_first_line(error),
            hint="Start the server or correct FILMGATE_DATABASE_URL; runs stay on disk until then"
            if should_migrate
            else "Start the server or correct its address",
        ) from error
    try:
        with connection:
            if should_migrate:
                migrate(connection, url, schema)
                prepare_connection(connection, schema.search_path)
            else:
                has_path = "search_path" in str(conninfo_to_dict(url).get("options"))
                prepare_connection(connection, None if has_path else schema.outbox_path)
            yield connection
    except psycopg.Error as error:
        raise translate_error(error) from error


def prepare_connection(connection: psycopg.Connection, search_path: sql.Composed | None) -> None:
    """Apply the settings that all connections share, in one message; None keeps the search path of
    the URL. How statements are planned is not one of them: each session sets that, see
    `sessions.Plans`."""
    statement = sql.SQL("set timezone = 'UTC'")
    if search_path is None:
        connection.execute(statement)
    else:
        connection.execute(sql.SQL("{}; set search_path = {}").format(statement, search_path))
    set_json_loads(from_json, connection)  # faster: payloads took a third of the time


def is_server_error(error: psycopg.Error) -> bool:
    """Whether the server or another session caused the error, and not the input."""
    return isinstance(error, psycopg.OperationalError) and not isinstance(error, LIMIT_ERRORS)


def translate_error(error: psycopg.Error) -> FilmgateError:
    """Translate an error of the driver.

    NotPermitted if the user lacks a right, Conflict for a deadlock, Unavailable if the
    connection was lost, Invalid for everything else.
    """
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return NotPermitted(
            "the database user lacks a permission",
            got=_first_line(error),
            hint="Grant it; the first command needs the right to create tables",
        )
    if isinstance(error, psycopg.errors.UndefinedTable):
        return Invalid(
            "the schema of the database is missing or too old",
            got=_first_line(error),
            hint="Use the database that runs are published from, and migrate it with its Filmgate",
        )
    if isinstance(error, psycopg.errors.DeadlockDetected):
        return Conflict(
            "another session locked the same rows",
            got=_first_line(error),
            hint="Try again; the transaction was rolled back",
        )
    if isinstance(error, LIMIT_ERRORS):
        return Invalid("the input exceeds a limit of the database", got=_first_line(error))
    if isinstance(error, psycopg.OperationalError):
        return Unavailable(
            "the connection to the database was lost",
            got=_first_line(error),
            hint="Try again when the server is back; the transaction was rolled back",
        )
    return Invalid("the database rejected the statement", got=_first_line(error))


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def redact_url(url: str) -> str:
    """Return user, host, port and database of a URL, without its password and parameters."""
    try:
        parts = conninfo_to_dict(url)
    except psycopg.Error:
        return "(invalid URL)"
    address = f"{parts.get('host') or '(local)'}:{parts.get('port') or 5432}"
    return f"{parts.get('user') or '(no user)'}@{address}/{parts.get('dbname') or ''}"
