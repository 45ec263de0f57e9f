"""Query: jump to the next or previous artifact of a kind."""

from typing import Annotated

from pydantic import Field

from filmgate.core.answers import JumpAnswer
from filmgate.core.command import CommandLine, Printer
from filmgate.core.envelope import Envelope
from filmgate.core.errors import unknown_name
from filmgate.core.jump_filters import JumpFilters
from filmgate.core.payloads.artifact_type import TYPE_NAME
from filmgate.core.query import Query, QueryContext
from filmgate.core.questions import Direction, JumpKind
from filmgate.db.artifact_queries import ArtifactQueries
from filmgate.db.sessions import connection_of
from filmgate.services.queries.parameters import SelectionParameters, Start, Word, Words
from filmgate.services.queries.rendering import clock_span, facts_of, note_data_source
from filmgate.wiring.artifact_types import registry


class JumpParameters(SelectionParameters):
    """Parameters of a jump."""

    kind: Annotated[
        JumpKind | Annotated[str, Field(pattern=TYPE_NAME, max_length=128)],
        Field(
            union_mode="left_to_right",
            description="Kind of artifact to jump to, or any other artifact type.",
            examples=["scene"],
        ),
        CommandLine(
            kind=str,
            metavar="KIND",
            help=f"Kind of artifact to jump to: {', '.join(JumpKind)}; or any other artifact type.",
        ),
    ]
    direction: Annotated[
        Direction,
        Field(description="Direction in time."),
        CommandLine(help="Jump forwards or backwards in time."),
    ] = Direction.NEXT
    from_ms: Annotated[
        Start,
        CommandLine(
            metavar="MS",
            help="Time to jump from. Default: before the start; with prev, after the end.",
        ),
    ] = None
    label: Annotated[
        Word | None,
        Field(description="Label of an object or a place."),
        CommandLine(metavar="LABEL", help="Jump to an object or place with this label."),
    ] = None
    face_cluster_id: Annotated[
        Word | None,
        Field(description="Cluster of a face or a person, such as c1."),
        CommandLine(
            names=("--cluster", "--face-cluster-id"),
            metavar="ID",
            help="Jump to a face or person of this cluster, such as c1.",
        ),
    ] = None
    text: Annotated[
        Words | None,
        Field(description="Words of a transcript, or of text on screen."),
        CommandLine(metavar="WORDS", help="Jump to speech or on-screen text with these words."),
    ] = None
    min_confidence: Annotated[
        Annotated[float, Field(ge=0, le=1)] | None,
        Field(description="Skip artifacts of lower confidence."),
        CommandLine(metavar="0..1"),
    ] = None

    @property
    def filters(self) -> JumpFilters:
        """The filters of the jump."""
        return JumpFilters(
            label=self.label,
            face_cluster_id=self.face_cluster_id,
            text=self.text,
            min_confidence=self.min_confidence,
        )


def jump(context: QueryContext, parameters: JumpParameters) -> JumpAnswer:
    """Return the first artifact that starts after a time, or the last that starts before it.
    Without such an artifact, the answer is an error: not found."""
    filters, selection = parameters.filters, parameters.run_selection
    _check_kind(parameters.kind)
    filters.for_kind(parameters.kind)
    from_ms = (
        parameters.from_ms if parameters.from_ms is not None else parameters.direction.initial_ms
    )
    with context.read() as session:
        return ArtifactQueries(connection_of(session)).jump(
            parameters.asset, parameters.kind, parameters.direction, from_ms, filters, selection
        )


def _check_kind(kind: str) -> None:
    """Raise UsageError unless a kind is an artifact type of an installed package."""
    if not isinstance(kind, JumpKind):
        types = {name for name, _ in registry().types()}
        if kind not in types:
            raise unknown_name("kind", kind, sorted({*map(str, JumpKind), *types}))


def show(answer: JumpAnswer, _parameters: JumpParameters, printer: Printer) -> None:
    """Print the artifact, and the model that made it."""
    artifact = answer.artifact
    printer.line(*clock_span(artifact), f"  {answer.kind}  {facts_of(artifact)}")
    if isinstance(artifact, Envelope):
        by = f"{artifact.producer} {artifact.producer_version}, profile {artifact.model_profile}"
        printer.line((f"{artifact.artifact_id}  by {by}", "dim"))
    note_data_source(answer, printer)


JUMP = Query(
    name="jump",
    path="/v1/videos/{asset_id}/jump",
    tag="videos",
    parameters=JumpParameters,
    answer=JumpAnswer,
    run=jump,
    show=show,
)
