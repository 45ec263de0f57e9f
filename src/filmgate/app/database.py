"""The database that the settings mean: a server, or the embedded one."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

from filmgate.app.settings import Settings
from filmgate.core.errors import FilmgateError, Invalid, Unavailable

if TYPE_CHECKING:
    import psycopg

    from filmgate.db.embedded import EmbeddedPostgres
    from filmgate.db.pool import Pool


class Database:
    """Opens sessions, and starts and stops the embedded server."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._pool: Pool | None = None

    @contextmanager
    def session(self) -> "Iterator[psycopg.Connection]":
        """A connection for one task, closed when the block ends however it ends."""
        from filmgate.db.connection import connected  # slow, and not every command needs it

        if self._pool is not None:
            with self._pool.connection() as connection:
                yield connection
        else:
            with self._running() as url, connected(url) as connection:
                yield connection

    @contextmanager
    def pooled(self, size: int) -> Iterator[None]:
        """For the length of a block, sessions share so many connections that are kept open, and an
        embedded server that dies is started again."""
        from filmgate.db.pool import Pool  # only for services

        with self._running(), self.session():  # which brings the schema up to date
            pass
        with self._running(), Pool(self.reached, size).opened() as pool:
            self._pool = pool
            try:
                yield
            finally:
                self._pool = None

    def reached(self) -> str:
        """Where the database is reached now; an embedded one is started where it is not running.
        For whoever keeps it running besides."""
        if self._settings.database_url:
            return self._settings.database_url
        embedded = self._embedded()
        if embedded.is_running():
            return embedded.url
        if not embedded.is_made():
            raise Unavailable(
                "the embedded database is gone",
                expected=f"its files in {embedded.folder}",
                got="none",
                hint="Restore them, and start again",
            )
        with embedded.used() as url:
            return url

    @contextmanager
    def elsewhere(self, url: str) -> "Iterator[psycopg.Connection]":
        """A connection to a database of somebody else's, whose schema is left as it is."""
        from filmgate.db.connection import connected  # slow, and not every command needs it

        with connected(url, is_ours=False) as connection:
            yield connection

    @contextmanager
    def lasting(self) -> Iterator[None]:
        """Keep the embedded server running for a block in which sessions come and go; where it
        cannot be started, the sessions say so."""
        with ExitStack() as stack:
            with suppress(FilmgateError, OSError):
                stack.enter_context(self._running())
            yield

    def is_made(self) -> bool:
        """Whether there is anything to ask: a server, or an embedded database made before."""
        if self._settings.database_url:
            return True
        return (self._settings.home.expanduser() / "pg").is_dir()

    def start(self) -> str:
        """Start the embedded database and let it outlive its users; its URL."""
        return self._embedded().keep()

    def stop(self) -> bool:
        """Stop the embedded database; False where it was not running."""
        return self._embedded().stop()

    def url(self) -> str:
        """Where the database is reached: a server, or the embedded one while it runs."""
        if self._settings.database_url:
            return self._settings.database_url
        embedded = self._embedded()
        if not embedded.is_running():
            raise Unavailable(
                "the embedded database is not running",
                expected="a server that was started",
                got="none",
                hint="`filmgate db start` keeps one running",
            )
        return embedded.url

    @contextmanager
    def _running(self) -> Iterator[str]:
        if self._settings.database_url:
            yield self._settings.database_url
        else:
            with self._embedded().used() as url:
                yield url

    def _embedded(self) -> "EmbeddedPostgres":
        from filmgate.db.embedded import EmbeddedPostgres  # not every command needs it

        if self._settings.database_url:
            raise Invalid(
                "the database is a server of yours",
                expected="no FILMGATE_DATABASE_URL",
                got="one that is set",
                hint="Start and stop it where it lives",
            )
        return EmbeddedPostgres((self._settings.home.expanduser() / "pg").absolute())
