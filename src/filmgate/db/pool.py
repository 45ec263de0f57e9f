"""A pool of connections, for processes that answer many requests."""

import select
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
from psycopg_pool import ConnectionPool, PoolClosed, PoolTimeout, TooManyRequests

from filmgate.core.errors import Unavailable
from filmgate.db.connection import CONNECT_TIMEOUT_S, prepare_connection, translate_error
from filmgate.db.schema import FILMGATE, Schema

MAX_WAIT_S = 3.0
"""Time that a caller waits for a connection before Unavailable is raised, in seconds."""

RECONNECT_TIMEOUT_S = 30.0
"""Time for which the pool tries to replace a lost connection, in seconds."""

STATEMENT_TIMEOUT_S = 30
"""Time limit of a statement, in seconds; the server cancels it then and frees the connection."""


class Pool:
    """Thread-safe pool of open connections.

    A connection keeps the plan mode of its last statement: every session sets the mode that it
    needs, and to restore the default would cost two more messages for each jump.
    """

    def __init__(self, url: Callable[[], str], size: int, schema: Schema = FILMGATE) -> None:
        def prepare(connection: psycopg.Connection) -> None:
            prepare_connection(connection, schema.search_path)
            connection.execute(f"set statement_timeout = '{STATEMENT_TIMEOUT_S}s'")

        self._pool: ConnectionPool[psycopg.Connection] = ConnectionPool(
            url,
            kwargs={
                "autocommit": True,
                "connect_timeout": CONNECT_TIMEOUT_S,
                "application_name": "filmgate",
            },
            min_size=min(2, size),
            max_size=size,
            timeout=MAX_WAIT_S,
            max_waiting=size * 16,
            reconnect_timeout=RECONNECT_TIMEOUT_S,
            configure=prepare,
            check=_check_alive,
            open=False,
            name="filmgate",
        )

    @contextmanager
    def opened(self) -> Iterator["Pool"]:
        """Open the pool for the length of a block."""
        self._pool.open()
        try:
            yield self
        finally:
            self._pool.close(timeout=MAX_WAIT_S)

    @contextmanager
    def connection(self) -> Iterator[psycopg.Connection]:
        """Borrow a connection for a block. The driver's errors are translated to Filmgate's."""
        try:
            with self._pool.connection() as connection:
                yield connection
        except (PoolTimeout, PoolClosed, TooManyRequests) as error:
            raise Unavailable(
                "the database does not answer",
                expected=f"a connection within {MAX_WAIT_S:g} s",
                got=str(error),
                hint="Try again in a moment",
            ) from error
        except psycopg.Error as error:
            raise translate_error(error) from error


def _check_alive(connection: psycopg.Connection) -> None:
    """Raise if the server closed the connection, which makes its socket readable before a query.

    The check costs no round trip to the server, which would double the time of a short query.
    """
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    if poll.poll(0):
        connection.execute("")
