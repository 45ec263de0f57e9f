"""A pool of connections, for those who answer many questions."""

import select
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
from psycopg_pool import ConnectionPool, PoolClosed, PoolTimeout, TooManyRequests

from filmgate.core.errors import Unavailable
from filmgate.db.connection import CONNECT_TIMEOUT_S, prepared_for_serving, translated

LONGEST_WAIT_S = 3.0
"""For a connection; then the caller is told to come again."""

RECONNECT_S = 30.0

LONGEST_STATEMENT_S = 30
"""Nobody waits longer for an answer, and others want the connection."""


class Pool:
    """Connections that are kept open. Any thread may ask for one."""

    def __init__(self, url: Callable[[], str], size: int) -> None:
        self._pool: ConnectionPool[psycopg.Connection] = ConnectionPool(
            url,
            kwargs={
                "autocommit": True,
                "connect_timeout": CONNECT_TIMEOUT_S,
                "application_name": "filmgate",
            },
            min_size=min(2, size),
            max_size=size,
            timeout=LONGEST_WAIT_S,
            max_waiting=size * 16,
            reconnect_timeout=RECONNECT_S,
            configure=_prepared,
            check=_is_alive,
            open=False,
            name="filmgate",
        )

    @contextmanager
    def opened(self) -> Iterator["Pool"]:
        """Open for the length of a block."""
        self._pool.open()
        try:
            yield self
        finally:
            self._pool.close(timeout=LONGEST_WAIT_S)

    @contextmanager
    def connection(self) -> Iterator[psycopg.Connection]:
        """A connection for one task; what the server says is told in the product's words."""
        try:
            with self._pool.connection() as connection:
                yield connection
        except (PoolTimeout, PoolClosed, TooManyRequests) as error:
            raise Unavailable(
                "the database does not answer",
                expected=f"a connection within {LONGEST_WAIT_S:g} s",
                got=str(error),
                hint="Try again soon",
            ) from error
        except psycopg.Error as error:
            raise translated(error) from error


def _prepared(connection: psycopg.Connection) -> None:
    prepared_for_serving(connection)
    connection.execute(f"set statement_timeout = '{LONGEST_STATEMENT_S}s'")


def _is_alive(connection: psycopg.Connection) -> None:
    """Raise where the server has hung up: then its socket has something to say unasked. That is
    looked at without asking the server, which would double the time of a short question."""
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    if poll.poll(0):
        connection.execute("")
