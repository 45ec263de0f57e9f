"""Answers about the corpus of rulebooks."""

from filmgate.core.books import PageSpan
from filmgate.core.command import Answer


class Related(Answer):
    """A subject that is related to the subject of a question, and where the relation was found."""

    name: str
    kind: str
    relation: str
    rule: str
    pdf_page: int
    printed_page: str | None


class Citation(Answer):
    """A passage of a book with its position in the file and on paper."""

    book: str
    title: str
    """Title of the book."""
    format: str
    pdf_page: int
    """Page number in the file, from 1."""
    printed_page: str | None
    """Printed page number; None if the page has none."""
    section: tuple[str, ...]
    """Titles of the enclosing sections, outermost first."""
    kind: str
    text: str
    span: tuple[PageSpan, ...]
    score: float
    how: str
    """How the passage was found: by title, words, table row, edge of the graph, or similarity."""
    chunk_id: str
    related: tuple[Related, ...] = ()
    attribution: str | None
    licence: str | None


class AskAnswer(Answer):
    """Passages that answer a question, best first."""

    question: str
    env: str
    answers: tuple[Citation, ...]


class BookAnswer(Answer):
    """A book in the corpus."""

    book: str
    env: str
    title: str
    file: str
    format: str
    pages: int
    chunks: int
    words_version: str
    licence: str | None
    attribution: str | None
    job_id: str


class BooksAnswer(Answer):
    """All books in the corpus."""

    books: tuple[BookAnswer, ...]
