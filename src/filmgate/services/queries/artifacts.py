"""Query: list the artifacts of a video by time."""

from typing import Annotated

from pydantic import Field

from filmgate.core.answers import ArtifactPage
from filmgate.core.command import CommandLine, Printer
from filmgate.core.query import Query, QueryContext
from filmgate.db.artifact_queries import ArtifactQueries
from filmgate.db.sessions import connection_of
from filmgate.services.queries.parameters import Cursor, Limit, Moment, SelectionParameters, Word
from filmgate.services.queries.rendering import (
    clock_span,
    facts_of,
    note_data_source,
    note_unserved,
)


class ArtifactsParameters(SelectionParameters):
    """Parameters of a list of artifacts."""

    type: Annotated[
        list[str] | None,
        Field(max_length=50, description="Artifact types; default: all.", examples=[["scene"]]),
        CommandLine(metavar="TYPE", help="Artifact type, such as scene; repeatable."),
    ] = None
    from_ms: Annotated[
        Moment | None,
        Field(description="Start of the time span, in milliseconds."),
        CommandLine(metavar="MS"),
    ] = None
    to_ms: Annotated[
        Moment | None,
        Field(description="End of the time span, in milliseconds."),
        CommandLine(metavar="MS"),
    ] = None
    producer: Annotated[
        Word | None,
        Field(description="Use runs in which this model or program made the type."),
        CommandLine(metavar="NAME"),
    ] = None
    producer_version: Annotated[
        Word | None,
        Field(description="Use runs in which this producer version made the type."),
        CommandLine(metavar="VERSION"),
    ] = None
    config_hash: Annotated[
        Word | None,
        Field(description="Use runs with this config hash."),
        CommandLine(metavar="HASH"),
    ] = None
    limit: Limit = 100
    cursor: Cursor = None


def artifacts(context: QueryContext, parameters: ArtifactsParameters) -> ArtifactPage:
    """List the artifacts of a video that overlap a time span, sorted by time."""
    selection = parameters.run_selection
    with context.read() as session:
        return ArtifactQueries(connection_of(session)).artifacts(
            parameters.asset,
            artifact_types=parameters.type or (),
            from_ms=parameters.from_ms,
            to_ms=parameters.to_ms,
            producer=parameters.producer,
            producer_version=parameters.producer_version,
            config_hash=parameters.config_hash,
            selection=selection,
            limit=parameters.limit,
            cursor=parameters.cursor,
        )


def show(answer: ArtifactPage, parameters: ArtifactsParameters, printer: Printer) -> None:
    """Print one artifact per line."""
    if not answer.artifacts:
        printer.note("No artifact.")
    for artifact in answer.artifacts:
        printer.line(*clock_span(artifact), f"  {artifact.artifact_type}  {facts_of(artifact)}")
    if answer.next_cursor:
        printer.note(f"There are more: --cursor {answer.next_cursor}")
    note_data_source(answer, printer)
    note_unserved(answer, parameters.run_selection, printer)


ARTIFACTS = Query(
    name="artifacts",
    path="/v1/videos/{asset_id}/artifacts",
    tag="videos",
    parameters=ArtifactsParameters,
    answer=ArtifactPage,
    run=artifacts,
    show=show,
    items="artifacts",
)
