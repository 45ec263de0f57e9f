"""Query: find words in one video."""

from typing import Annotated

from pydantic import Field

from filmgate.core.answers import FindAnswer
from filmgate.core.command import CommandLine, Printer
from filmgate.core.query import Query, QueryContext
from filmgate.core.questions import Direction, TextSource
from filmgate.db.artifact_queries import ArtifactQueries
from filmgate.db.sessions import connection_of
from filmgate.services.queries.parameters import (
    Cursor,
    Limit,
    SearchWords,
    SelectionParameters,
    Start,
)
from filmgate.services.queries.rendering import note_data_source, note_unserved, print_hit


class FindParameters(SelectionParameters):
    """Parameters of a text search in a video."""

    q: SearchWords
    source: Annotated[
        TextSource,
        Field(description="Search the transcript, text on screen, or both."),
        CommandLine(help="Search speech, on-screen text, or both."),
    ] = TextSource.TRANSCRIPT
    direction: Annotated[
        Direction,
        Field(description="Direction in time."),
        CommandLine(help="next lists results by ascending time, prev by descending time."),
    ] = Direction.NEXT
    from_ms: Annotated[
        Start,
        CommandLine(
            metavar="MS",
            help="List results that start after this time (before it with prev). Default: all.",
        ),
    ] = None
    limit: Limit = 20
    cursor: Cursor = None


def find(context: QueryContext, parameters: FindParameters) -> FindAnswer:
    """Search speech and on-screen text in a video; hits are sorted by time."""
    selection = parameters.run_selection
    with context.read() as session:
        return ArtifactQueries(connection_of(session)).find(
            parameters.asset,
            parameters.q,
            source=parameters.source,
            direction=parameters.direction,
            from_ms=parameters.from_ms,
            limit=parameters.limit,
            cursor=parameters.cursor,
            selection=selection,
        )


def show(answer: FindAnswer, parameters: FindParameters, printer: Printer) -> None:
    """Print the time and text of every hit, with the matches marked."""
    if not answer.hits:
        printer.note("No result.")
    for hit in answer.hits:
        print_hit(hit, printer, names_source=answer.source is TextSource.ALL)
    if answer.next_cursor:
        printer.note(f"More results exist: increase --limit, or use --cursor {answer.next_cursor}")
    note_data_source(answer, printer)
    note_unserved(answer, parameters.run_selection, printer)


FIND = Query(
    name="find",
    path="/v1/videos/{asset_id}/find",
    tag="videos",
    parameters=FindParameters,
    answer=FindAnswer,
    run=find,
    show=show,
)
