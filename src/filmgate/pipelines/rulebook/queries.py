"""Queries of the corpus of rulebooks: list the books, answer a question."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Annotated

from pydantic import Field

from filmgate.core.command import CommandLine, Parameters, Part, Printer
from filmgate.core.errors import Invalid
from filmgate.core.providers import SentenceEmbedder
from filmgate.core.query import Query, QueryContext
from filmgate.pipelines.rulebook.answers import AskAnswer, BooksAnswer, Citation
from filmgate.pipelines.rulebook.corpus.search import CorpusQuestion, CorpusSearch
from filmgate.tools.minilm import MiniLm
from filmgate.tools.words import is_list_question, name_candidates, version, words

MAX_QUESTION = 1000
"""Length limit of a question, in characters."""

MAX_CHARACTERS = 700
"""Length to which a passage is cut on the terminal."""

Name = Annotated[str, Field(min_length=1, max_length=512)]
Environment = Annotated[
    Name | None,
    Field(description="Environment of the run, such as dev or prod."),
    CommandLine(metavar="NAME"),
]


class BooksParameters(Parameters):
    """Parameters of a list of books."""

    env: Environment = None


class AskParameters(Parameters):
    """Parameters of a question."""

    q: Annotated[
        str,
        Field(
            min_length=1,
            max_length=MAX_QUESTION,
            description="Question about rules.",
            examples=["how much damage does fireball do"],
        ),
        CommandLine(
            is_words=True,
            metavar="QUESTION",
            help="The question. Without it, the books are listed.",
        ),
    ]
    book: Annotated[
        Name | None, Field(description="Search only this book."), CommandLine(metavar="BOOK")
    ] = None
    env: Environment = None
    limit: Annotated[
        int,
        Field(ge=1, le=50, description="Maximum number of passages."),
        CommandLine(metavar="N"),
    ] = 3
    vectors: Annotated[
        bool, Field(description="Also search by embedding, in books that have embeddings.")
    ] = False


def books(context: QueryContext, parameters: BooksParameters) -> BooksAnswer:
    """List the books of the corpus."""
    with context.read() as session:
        return BooksAnswer(books=CorpusSearch(session).books(parameters.env))


def show_books(answer: BooksAnswer, _parameters: BooksParameters, printer: Printer) -> None:
    """Print one row per book."""
    if not answer.books:
        printer.note("No book is ingested yet. To ingest some: filmgate run rulebook --uploads DIR")
        return
    rows = [
        (book.book, book.env, str(book.pages), str(book.chunks), book.licence or "", book.title)
        for book in answer.books
    ]
    heads = ("book", "env", "pages", "passages", "licence", "title")
    printer.table(heads, rows, right=("pages", "passages"))


def ask(context: QueryContext, parameters: AskParameters) -> AskAnswer:
    """Return the passages that answer a question best, each with its page and section."""
    question, env = parse_question(parameters.q), parameters.env or context.env
    if parameters.vectors:
        with context.read() as session:  # before the model is loaded, which takes seconds
            CorpusSearch(session).require_vectors(env, parameters.book)
        question = replace(question, vector=_vector(question.question))
    with context.read() as session:
        return CorpusSearch(session).ask(
            question,
            env=env,
            book=parameters.book,
            limit=parameters.limit,
            stem=words,
            version=version(),
        )


def show_passages(answer: AskAnswer, _parameters: AskParameters, printer: Printer) -> None:
    """Print passages with their places, then the attributions of the books."""
    if not answer.answers:
        printer.note("No passage contains these words.")
    for number, citation in enumerate(answer.answers, start=1):
        section = " › ".join(citation.section) or citation.title
        head: Part = (f"{number}  {section}", "bold")
        printer.line(head, "  ", (_place_of(citation), "dim"))
        for line in _shortened(citation.text).split("\n"):
            printer.line(f"   {line}")
        printer.line()
    for text in dict.fromkeys(each.attribution for each in answer.answers if each.attribution):
        printer.line((text, "dim"))


def parse_question(question: str) -> CorpusQuestion:
    """Parse a question into words and names, without its embedding; raises Invalid if it is empty
    or too long."""
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
        vector=None,
    )


def _vector(question: str) -> Sequence[float]:
    return [float(value) for value in _embedder().embed([question])[0]]


@cache
def _embedder() -> SentenceEmbedder:
    return MiniLm()


def _place_of(citation: Citation) -> str:
    parts = [citation.title, f"p. {citation.printed_page}" if citation.printed_page else ""]
    if citation.format == "pdf":
        parts.append(f"page {citation.pdf_page} of {citation.book}")
    else:
        parts.append(f"{citation.book}, document {citation.pdf_page}")
    parts.append(citation.licence or "")
    return ", ".join(filter(None, parts))


def _shortened(text: str) -> str:
    return text if len(text) <= MAX_CHARACTERS else f"{text[:MAX_CHARACTERS].rstrip()} …"


BOOKS = Query(
    name="rulebooks",
    path="/v1/rulebooks",
    tag="rulebooks",
    parameters=BooksParameters,
    answer=BooksAnswer,
    run=books,
    show=show_books,
)

ASK = Query(
    name="ask",
    path="/v1/rulebooks/ask",
    tag="rulebooks",
    parameters=AskParameters,
    answer=AskAnswer,
    run=ask,
    show=show_passages,
    without_words=BOOKS,
)
