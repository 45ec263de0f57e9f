"""The context of queries and actions: the installation's database, home and object stores."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from filmgate.core.command import A, P
from filmgate.core.query import Action, Query
from filmgate.db.sessions import DatabaseSession
from filmgate.wiring.database import Database
from filmgate.wiring.settings import Settings
from filmgate.wiring.stores import create_opener


class DatabaseQueries:
    """Implementation of the ports `QueryContext`, `ActionContext` and `InputContext`."""

    def __init__(self, settings: Settings, database: Database | None = None) -> None:
        self.env = settings.env
        self.home = settings.home.expanduser()
        self.open_store = create_opener(settings)
        self._database = database or Database(settings)

    @contextmanager
    def read(self) -> Iterator[DatabaseSession]:
        """Open a session of the database for a block."""
        with self._database.session() as connection:
            yield DatabaseSession(connection)

    write = read

    def keep_running(self) -> AbstractContextManager[None]:
        """Keep the embedded database running for a block with several queries."""
        return self._database.keep_running()

    def ask(self, query: Query[P, A] | Action[P, A], parameters: P) -> A:
        """Answer a query, or execute an action."""
        return query.run(self, parameters)
