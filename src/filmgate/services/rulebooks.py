"""The corpus of rulebooks: remove books."""

from filmgate.core.errors import Invalid
from filmgate.db.sessions import DatabaseSession
from filmgate.pipelines.rulebook.answers import BookAnswer
from filmgate.pipelines.rulebook.corpus.search import CorpusSearch
from filmgate.pipelines.rulebook.corpus.storage import remove
from filmgate.wiring.database import Database
from filmgate.wiring.settings import Settings


class Rulebooks:
    """Manages the corpus of rulebooks. Each call opens a database session."""

    def __init__(self, settings: Settings, database: Database | None = None) -> None:
        self._settings = settings
        self._database = database or Database(settings)

    def remove(self, book: str, env: str | None) -> BookAnswer:
        """Remove a book; raises NotFound if it does not exist, Invalid if the name is ambiguous."""
        with self._database.session() as connection:
            found = CorpusSearch(DatabaseSession(connection)).scope(env or self._settings.env, book)
            if len(found) > 1:
                raise Invalid(
                    f"several books are named {book!r}",
                    expected=f"one of {', '.join(match.book for match in found)}",
                    got=book,
                )
            remove(DatabaseSession(connection), found[0].env, found[0].book)
        return found[0]
