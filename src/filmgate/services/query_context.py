"""The context of queries: sessions of the installation's database."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from filmgate.core.query import A, P, Query
from filmgate.db.sessions import DatabaseSession
from filmgate.wiring.database import Database
from filmgate.wiring.settings import Settings


class DatabaseQueries:
    """Implementation of the port `QueryContext`: runs queries on a database."""

    def __init__(self, settings: Settings, database: Database | None = None) -> None:
        self.env = settings.env
        self._database = database or Database(settings)

    @contextmanager
    def read(self) -> Iterator[DatabaseSession]:
        """Open a session of the database for a block."""
        with self._database.session() as connection:
            yield DatabaseSession(connection)

    def keep_running(self) -> AbstractContextManager[None]:
        """Keep the embedded database running for a block with several queries."""
        return self._database.keep_running()

    def ask(self, query: Query[P, A], parameters: P) -> A:
        """Answer a query."""
        return query.run(self, parameters)
