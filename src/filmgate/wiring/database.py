"""The configured database: a PostgreSQL server, or the embedded PostgreSQL."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

import psycopg

from filmgate.core.errors import FilmgateError, Invalid, Unavailable
from filmgate.core.os_errors import os_errors_translated
from filmgate.db.connection import connected
from filmgate.db.embedded import EmbeddedPostgres
from filmgate.db.schema import Schema
from filmgate.wiring.notices import notify
from filmgate.wiring.pipelines import branches
from filmgate.wiring.settings import Settings

if TYPE_CHECKING:
    from filmgate.db.pool import Pool


class Database:
    """Opens connections, and starts and stops the embedded server."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._pool: Pool | None = None

    @contextmanager
    def session(self) -> Iterator[psycopg.Connection]:
        """Open a connection for one task; it is closed, or returned to the pool, after the block.

        An embedded server is started if it is not running.
        """
        if self._pool is not None:
            with self._pool.connection() as connection:
                yield connection
        else:
            with self._running() as url, connected(url, self.schema()) as connection:
                yield connection

    @contextmanager
    def pooled(self, size: int) -> Iterator[None]:
        """Use a pool of up to `size` connections in a block. If an embedded server dies during the
        block, it is restarted."""
        from filmgate.db.pool import Pool  # psycopg_pool comes with the extra `service`

        with self._running(), self.session():  # applies migrations
            pass
        with self._running(), Pool(self.reachable_url, size, self.schema()).opened() as pool:
            self._pool = pool
            try:
                yield
            finally:
                self._pool = None

    def reachable_url(self) -> str:
        """Return the URL of the database; start the embedded server if it is not running.

        Call this inside a block of `pooled` or `keep_running`, which keeps the server running.
        Raises Unavailable if the files of the embedded database no longer exist.
        """
        if self._settings.database_url:
            return self._settings.database_url
        embedded = self._embedded()
        if embedded.is_running():
            return embedded.url
        if not embedded.exists():
            raise Unavailable(
                "the embedded database no longer exists",
                expected=f"its files in {embedded.folder}",
                got="none",
                hint="Restore the files and restart",
            )
        with embedded.running() as url:
            return url

    @contextmanager
    def foreign_session(self, url: str) -> Iterator[psycopg.Connection]:
        """Open a connection to the outbox of another installation, without migrating its database.

        The outbox is that in the schema of this installation's name, else `pipeline.outbox`. A URL
        with `?options=-csearch_path%3DNAME` names another schema.
        """
        schema = Schema(name=self._settings.database_schema)
        with connected(url, schema, should_migrate=False) as connection:
            yield connection

    def schema(self) -> Schema:
        """Return the schema of this installation, with the migrations of its pipelines."""
        return Schema(name=self._settings.database_schema, branches=branches())

    @contextmanager
    def keep_running(self) -> Iterator[None]:
        """Keep the embedded server running for a block with several sessions.

        An error at the start is suppressed here; the first session raises it again.
        """
        with ExitStack() as stack:
            with suppress(FilmgateError):
                stack.enter_context(self._running())
            yield

    def exists(self) -> bool:
        """Whether a server is configured or the embedded database was created."""
        if self._settings.database_url:
            return True
        with os_errors_translated():
            return (self._settings.home.expanduser() / "pg").is_dir()

    def start(self) -> str:
        """Start the embedded server so that it runs until `stop`; return its URL."""
        with os_errors_translated():
            return self._embedded().keep()

    def stop(self) -> bool:
        """Stop the embedded server; return False if it was not running."""
        with os_errors_translated():
            return self._embedded().stop()

    def url(self) -> str:
        """Return the URL of the database; raises Unavailable if the embedded server is stopped."""
        if self._settings.database_url:
            return self._settings.database_url
        embedded = self._embedded()
        if not embedded.is_running():
            raise Unavailable(
                "the embedded database is not running",
                expected="a running server",
                got="none",
                hint="Start it with `filmgate db start`",
            )
        return embedded.url

    @contextmanager
    def _running(self) -> Iterator[str]:
        if self._settings.database_url:
            yield self._settings.database_url
        else:
            embedded = self._embedded()
            with ExitStack() as stack:
                with os_errors_translated():
                    if not embedded.exists():
                        notify(
                            "Creating the embedded database. This happens once and takes some "
                            "seconds."
                        )
                    url = stack.enter_context(embedded.running())
                yield url

    def _embedded(self) -> EmbeddedPostgres:
        if self._settings.database_url:
            raise Invalid(
                "the configured database is not the embedded one",
                expected="FILMGATE_DATABASE_URL to be unset",
                got="the URL of a server",
                hint="Start and stop that server with its own tools",
            )
        return EmbeddedPostgres((self._settings.home.expanduser() / "pg").absolute())
