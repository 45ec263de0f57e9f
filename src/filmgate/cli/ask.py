"""`filmgate ask`: passages of the rulebooks that answer a question."""

from typing import Annotated

import typer
from rich.markup import escape

from filmgate.cli.arguments import AsJson, Environment
from filmgate.cli.output import print_json, print_table, stderr_console, stdout_console
from filmgate.cli.text import printable
from filmgate.core.answers import AskAnswer, BooksAnswer, Citation
from filmgate.services.rulebooks import Rulebooks
from filmgate.wiring import settings

MAX_CHARACTERS = 700
"""Maximum length of a printed passage, in characters; a longer passage is cut."""


def ask(
    question: Annotated[
        list[str] | None,
        typer.Argument(metavar="QUESTION", help="Question about rules. Default: list the books."),
    ] = None,
    book: Annotated[
        str | None,
        typer.Option(metavar="BOOK", help="Id, file name or title of the book to search."),
    ] = None,
    env: Environment = None,
    limit: Annotated[
        int, typer.Option(metavar="N", min=1, max=50, help="Maximum number of passages.")
    ] = 3,
    vectors: Annotated[
        bool,
        typer.Option("--vectors", help="Also rank by embeddings, in books that have them."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Print the passages that answer a question, each with its page and section."""
    rulebooks = Rulebooks(settings.load())
    if not question:
        books = rulebooks.books(env)
        print_json(books) if as_json else _print_books(books)
        return
    answer = rulebooks.ask(" ".join(question), env=env, book=book, limit=limit, vectors=vectors)
    if as_json:
        print_json(answer)
    else:
        print_answer(answer)


def print_answer(answer: AskAnswer) -> None:
    """Print each passage with its section, book and page, then the attributions of the books."""
    if not answer.answers:
        stderr_console().print("No passage contains these words.")
    for number, citation in enumerate(answer.answers, start=1):
        section = " › ".join(citation.section) or citation.title
        stdout_console().print(
            f"[bold]{number}  {escape(printable(section))}[/]  [dim]{_place_of(citation)}[/]"
        )
        for line in _shortened(citation.text).split("\n"):
            stdout_console().print(f"   {escape(printable(line))}")
        stdout_console().print()
    for words in dict.fromkeys(each.attribution for each in answer.answers if each.attribution):
        stdout_console().print(f"[dim]{escape(printable(words))}[/]")


def _place_of(citation: Citation) -> str:
    parts = [citation.title, f"p. {citation.printed_page}" if citation.printed_page else ""]
    if citation.format == "pdf":
        parts.append(f"page {citation.pdf_page} of {citation.book}")
    else:
        parts.append(f"{citation.book}, document {citation.pdf_page}")
    parts.append(citation.licence or "")
    return escape(printable(", ".join(filter(None, parts))))


def _shortened(text: str) -> str:
    return text if len(text) <= MAX_CHARACTERS else f"{text[:MAX_CHARACTERS].rstrip()} …"


def _print_books(answer: BooksAnswer) -> None:
    if not answer.books:
        stderr_console().print(
            "No book has been ingested yet. To ingest books: filmgate run rulebook --uploads DIR"
        )
        return
    rows = []
    for book in answer.books:
        cells = (book.book, book.env, str(book.pages), str(book.chunks), book.licence or "")
        rows.append([escape(printable(cell)) for cell in (*cells, book.title)])
    heads = ("book", "env", "pages", "passages", "licence", "title")
    print_table(heads, rows, right={"pages", "passages"})
