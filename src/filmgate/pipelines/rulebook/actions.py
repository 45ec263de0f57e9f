"""Actions on the corpus of rulebooks: remove a book."""

from typing import Annotated

from pydantic import Field

from filmgate.core.command import CommandLine, Parameters, Printer
from filmgate.core.errors import Invalid
from filmgate.core.query import Action, ActionContext
from filmgate.pipelines.rulebook.answers import BookAnswer
from filmgate.pipelines.rulebook.corpus.search import CorpusSearch
from filmgate.pipelines.rulebook.corpus.storage import remove


class RemoveParameters(Parameters):
    """Which book to remove."""

    book: Annotated[
        str,
        Field(description="Book id, as `filmgate ask` lists it."),
        CommandLine(is_argument=True, metavar="BOOK"),
    ]
    env: Annotated[
        str | None,
        Field(description="Environment of the run, such as dev or prod."),
        CommandLine(metavar="NAME"),
    ] = None


def remove_book(context: ActionContext, parameters: RemoveParameters) -> BookAnswer:
    """Remove a rulebook from the corpus, but keep its runs."""
    with context.write() as session:
        found = CorpusSearch(session).scope(parameters.env or context.env, parameters.book)
        if len(found) > 1:
            raise Invalid(
                f"several books are named {parameters.book!r}",
                expected=f"one of {', '.join(match.book for match in found)}",
                got=parameters.book,
            )
        remove(session, found[0].env, found[0].book)
    return found[0]


def show(answer: BookAnswer, _parameters: RemoveParameters, printer: Printer) -> None:
    """Print what was removed."""
    printer.line(f"removed {answer.book} from {answer.env}, with {answer.chunks} passages")


REMOVE_BOOK = Action(
    name="db remove-book",
    parameters=RemoveParameters,
    answer=BookAnswer,
    run=remove_book,
    show=show,
)
