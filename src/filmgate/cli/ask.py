"""`filmgate ask`: a question about rules, answered with the page."""

from typing import TYPE_CHECKING, Annotated

import typer

from filmgate.cli.output import AsJson

if TYPE_CHECKING:
    from filmgate.core.answers import AskAnswer, BooksAnswer, Citation

SHOWN_CHARACTERS = 700


def ask(
    question: Annotated[
        list[str] | None, typer.Argument(help="What to ask; without it, the books there are.")
    ] = None,
    book: Annotated[str | None, typer.Option(help="Only this book.")] = None,
    env: Annotated[str | None, typer.Option(help="Where it was taken in: dev, prod, …")] = None,
    limit: Annotated[int, typer.Option(min=1, max=50, help="So many passages at most.")] = 3,
    vectors: Annotated[
        bool, typer.Option("--vectors", help="Also by likeness; needs books with vectors.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Which passages of the rulebooks answer a question, each with its page and section."""
    from filmgate.app import settings  # keeps --help quick
    from filmgate.app.rulebooks import Rulebooks
    from filmgate.cli.output import print_json

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


def print_answer(answer: "AskAnswer") -> None:
    """The passages, each with its place, and whom the books want named."""
    from rich.markup import escape

    from filmgate.cli.output import out, printable, talk

    if not answer.answers:
        talk().print("no passage has any of these words")
    for number, each in enumerate(answer.answers, start=1):
        section = " › ".join(each.section) or each.title
        out().print(f"[bold]{number}  {escape(printable(section))}[/]  [dim]{_where(each)}[/]")
        for line in _shown(each.text).split("\n"):
            out().print(f"   {escape(printable(line))}")
        out().print()
    for words in dict.fromkeys(each.attribution for each in answer.answers if each.attribution):
        out().print(f"[dim]{escape(printable(words))}[/]")


def _where(cited: "Citation") -> str:
    from rich.markup import escape

    from filmgate.cli.output import printable

    parts = [cited.title, f"p. {cited.printed_page}" if cited.printed_page else ""]
    if cited.format == "pdf":
        parts.append(f"page {cited.pdf_page} of {cited.book}")
    else:
        parts.append(f"{cited.book}, document {cited.pdf_page}")
    parts.append(cited.licence or "")
    return escape(printable(", ".join(filter(None, parts))))


def _shown(text: str) -> str:
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS].rstrip()} …"


def _print_books(answer: "BooksAnswer") -> None:
    from rich.markup import escape

    from filmgate.cli.output import columns, out, printable, talk

    if not answer.books:
        talk().print("no books yet: filmgate run rulebook --uploads DIR")
        return
    table = columns("book", "env", "title", "pages", "passages", "licence")
    for each in answer.books:
        told = (each.book, each.env, each.title, str(each.pages), str(each.chunks))
        table.add_row(*(escape(printable(word)) for word in (*told, each.licence or "")))
    out().print(table)
