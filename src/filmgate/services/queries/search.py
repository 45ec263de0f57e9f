"""Query: find words in all videos."""

from itertools import groupby
from typing import Annotated

from pydantic import Field

from filmgate.core.answers import SearchAnswer
from filmgate.core.command import CommandLine, Parameters, Printer
from filmgate.core.query import Query, QueryContext
from filmgate.core.questions import TextSource
from filmgate.db.artifact_queries import ArtifactQueries
from filmgate.db.sessions import connection_of
from filmgate.services.queries.parameters import Cursor, Limit, SearchWords
from filmgate.services.queries.rendering import print_hit


class SearchParameters(Parameters):
    """Parameters of a text search in all videos."""

    q: SearchWords
    source: Annotated[
        TextSource,
        Field(description="Search the transcripts, text on screen, or both."),
        CommandLine(help="Search speech, on-screen text, or both."),
    ] = TextSource.ALL
    limit: Limit = 20
    cursor: Cursor = None


def search(context: QueryContext, parameters: SearchParameters) -> SearchAnswer:
    """Search speech and on-screen text in all videos: up to 3 hits per video, newest first."""
    with context.read() as session:
        return ArtifactQueries(connection_of(session)).search(
            parameters.q, source=parameters.source, limit=parameters.limit, cursor=parameters.cursor
        )


def show(answer: SearchAnswer, _parameters: SearchParameters, printer: Printer) -> None:
    """Print the time and text of every hit, grouped by video."""
    if not answer.hits:
        printer.note("No result.")
    for asset, hits in groupby(answer.hits, key=lambda hit: hit.artifact.asset_id):
        printer.line((asset, "bold"))
        for hit in hits:
            is_mixed = answer.source is TextSource.ALL
            print_hit(hit, printer, names_source=is_mixed, indent="  ")
    if answer.next_cursor:
        printer.note(f"There are more: --cursor {answer.next_cursor}")


SEARCH = Query(
    name="search",
    path="/v1/search",
    tag="artifacts",
    parameters=SearchParameters,
    answer=SearchAnswer,
    run=search,
    show=show,
)
