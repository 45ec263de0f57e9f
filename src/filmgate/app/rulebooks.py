"""The corpus of rulebooks: what is in it, what earlier printings left, and what it answers."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from typing import TYPE_CHECKING

from filmgate.app.database import Database
from filmgate.app.settings import Settings
from filmgate.core.answers import AskAnswer, BookAnswer, BooksAnswer
from filmgate.core.digest import canonical_json
from filmgate.core.errors import Invalid
from filmgate.core.records import RunHead
from filmgate.core.resources import Resource
from filmgate.core.rulebook import CORPUS
from filmgate.store.home import Home
from filmgate.store.snapshots import Snapshots

if TYPE_CHECKING:
    from filmgate.core.providers import SentenceEmbedder

SNAPSHOTS = "corpus"
"""The folder in the home."""

MAX_QUESTION = 1000


class Rulebooks:
    """The corpus of these settings. Each call is a session of its own."""

    def __init__(self, settings: Settings, database: Database | None = None) -> None:
        self._settings = settings
        self._database = database or Database(settings)
        home = Home(settings.home.expanduser())
        self._snapshots = Snapshots(home.root / SNAPSHOTS, CORPUS)

    def lasting(self) -> AbstractContextManager[None]:
        """Keep the database running for a block with several questions."""
        return self._database.lasting()

    def remove(self, book: str, env: str | None) -> BookAnswer:
        """Take a book out of the corpus; NotFound where there is none of that name."""
        from filmgate.db.asked_books import AskedBooks  # slow, and not always needed
        from filmgate.db.books import remove
        from filmgate.db.sessions import Session

        with self._database.session() as connection:
            found = AskedBooks(connection).scope(env or self._settings.env, book)
            if len(found) > 1:
                raise Invalid(
                    f"several books go by {book!r}",
                    expected=f"one of {', '.join(each.book for each in found)}",
                    got=book,
                )
            remove(Session(connection), found[0].env, found[0].book)
        return found[0]

    def snapshot(self, sha256: str) -> Resource | None:
        """The earlier printings that a job consulted; None where that snapshot is gone."""
        return self._snapshots.there(sha256)

    def resource(self, head: RunHead) -> Resource | None:
        """Earlier printings of a job's books as it consults them; None where there are none. An
        embedded database that was never made is not made for this."""
        if not self._database.is_made():
            return None
        from filmgate.db.books import editions  # slow, and not always needed
        from filmgate.db.sessions import Session
        from filmgate.pipelines.rulebook.pass_a import book_id_of

        books = [book_id_of(name) for name in head.source_sha_map]
        with self._database.session() as connection:
            kept = editions(Session(connection), head.env, head.asset.id, head.run_id, books)
        if not kept.books:
            return None
        return self._snapshots.keep(canonical_json(kept.model_dump(mode="json")))

    def books(self, env: str | None = None) -> BooksAnswer:
        """Every book that can be asked."""
        from filmgate.db.asked_books import AskedBooks  # slow, and not always needed

        with self._database.session() as connection:
            return BooksAnswer(books=AskedBooks(connection).books(env))

    def ask(
        self, question: str, *, env: str | None, book: str | None, limit: int, vectors: bool
    ) -> AskAnswer:
        """The passages that answer a question best, each with its page.

        Raises Invalid where nothing is asked, NotFound where there is no such book.
        """
        from filmgate.db.asked_books import Asked, AskedBooks  # slow, and not always needed
        from filmgate.tools.words import asks_for_several, names_in, version, words

        plain = " ".join(question.split())
        if not plain or len(plain) > MAX_QUESTION:
            raise Invalid(
                "this is no question",
                expected=f"1 to {MAX_QUESTION} characters",
                got=f"{len(plain)}",
            )
        asked = Asked(
            question=plain,
            words=tuple(dict.fromkeys(words(plain))),
            names=names_in(plain),
            is_for_several=asks_for_several(plain),
            vector=self._vector(plain) if vectors else None,
        )
        with self._database.session() as connection:
            return AskedBooks(connection).ask(
                asked,
                env=env or self._settings.env,
                book=book,
                limit=limit,
                stem=words,
                version=version(),
            )

    def _vector(self, question: str) -> Sequence[float]:
        return [float(value) for value in self._embedder.embed([question])[0]]

    @cached_property
    def _embedder(self) -> "SentenceEmbedder":
        from filmgate.tools.minilm import MiniLm  # heavy

        return MiniLm()
