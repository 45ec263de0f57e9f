"""Service of the rulebook corpus: books, snapshots of earlier editions, and questions."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import cached_property

from filmgate.core.answers import AskAnswer, BookAnswer, BooksAnswer
from filmgate.core.errors import Invalid
from filmgate.core.providers import SentenceEmbedder
from filmgate.db.sessions import DatabaseSession
from filmgate.pipelines.rulebook.corpus.search import CorpusQuestion, CorpusSearch
from filmgate.pipelines.rulebook.corpus.storage import remove
from filmgate.tools.minilm import MiniLm
from filmgate.tools.words import is_list_question, name_candidates, version, words
from filmgate.wiring.database import Database
from filmgate.wiring.settings import Settings

MAX_QUESTION = 1000
"""Length limit of a question, in characters."""


class Rulebooks:
    """Manages and searches the corpus of rulebooks. Each call opens a database session."""

    def __init__(self, settings: Settings, database: Database | None = None) -> None:
        self._settings = settings
        self._database = database or Database(settings)

    def keep_running(self) -> AbstractContextManager[None]:
        """Keep the embedded database running for a block with several questions."""
        return self._database.keep_running()

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

    def books(self, env: str | None = None) -> BooksAnswer:
        """List the books of one environment, or of the whole corpus."""
        with self._database.session() as connection:
            return BooksAnswer(books=CorpusSearch(DatabaseSession(connection)).books(env))

    def ask(
        self, question: str, *, env: str | None, book: str | None, limit: int, vectors: bool
    ) -> AskAnswer:
        """Return the passages that answer a question best, each with its page.

        With `vectors`, passages are also ranked by the similarity of embeddings. Raises Invalid for
        an invalid question, NotFound for an unknown book.
        """
        parsed = self.parse_question(question, vectors=vectors)
        with self._database.session() as connection:
            return CorpusSearch(DatabaseSession(connection)).ask(
                parsed,
                env=env or self._settings.env,
                book=book,
                limit=limit,
                stem=words,
                version=version(),
            )

    def parse_question(self, question: str, *, vectors: bool = False) -> CorpusQuestion:
        """Parse a question into words and names; raises Invalid if it is empty or too long."""
        text = " ".join(question.split())
        if not text or len(text) > MAX_QUESTION:
            raise Invalid(
                "the question is empty or too long",
                expected=f"1 to {MAX_QUESTION} characters",
                got=f"{len(text)}",
            )
        return CorpusQuestion(
            question=text,
            words=tuple(dict.fromkeys(words(text))),
            names=name_candidates(text),
            is_for_several=is_list_question(text),
            vector=self._vector(text) if vectors else None,
        )

    def _vector(self, question: str) -> Sequence[float]:
        return [float(value) for value in self._embedder.embed([question])[0]]

    @cached_property
    def _embedder(self) -> SentenceEmbedder:
        return MiniLm()
