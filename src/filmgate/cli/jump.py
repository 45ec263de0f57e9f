"""`filmgate jump`: jump to the next or previous artifact of a kind."""

from typing import Annotated

import typer

from filmgate.cli import selection_options
from filmgate.cli.arguments import AsJson, Asset
from filmgate.cli.output import print_json
from filmgate.cli.rendering import print_jump
from filmgate.core.jump_filters import JumpFilters
from filmgate.core.moments import MAX_MS
from filmgate.core.questions import Direction, JumpKind
from filmgate.services.queries import Queries
from filmgate.wiring import settings


def jump(
    asset: Asset,
    kind: Annotated[JumpKind, typer.Option(help="Kind of artifact to jump to.")],
    direction: Annotated[
        Direction, typer.Option(help="Jump forwards or backwards in time.")
    ] = Direction.NEXT,
    from_ms: Annotated[
        int | None,
        typer.Option(
            metavar="MS",
            help="Time to jump from. Default: before the start; with prev, after the end.",
            min=-1,
            max=MAX_MS,
        ),
    ] = None,
    label: Annotated[
        str | None,
        typer.Option(metavar="LABEL", help="Jump to an object or place with this label."),
    ] = None,
    face_cluster_id: Annotated[
        str | None,
        typer.Option(
            "--cluster",
            "--face-cluster-id",
            metavar="ID",
            help="Jump to a face or person of this cluster, such as c1.",
        ),
    ] = None,
    text: Annotated[
        str | None,
        typer.Option(metavar="WORDS", help="Jump to speech or on-screen text with these words."),
    ] = None,
    min_confidence: Annotated[
        float | None,
        typer.Option(metavar="0..1", help="Skip artifacts of lower confidence.", min=0, max=1),
    ] = None,
    selection: selection_options.Mode = None,
    profile: selection_options.Profile = None,
    run: selection_options.Run = None,
    as_json: AsJson = False,
) -> None:
    """Print the first artifact that starts after a time, or the last that starts before it."""
    answer = Queries(settings.load()).jump(
        asset,
        kind,
        direction=direction,
        from_ms=from_ms if from_ms is not None else direction.initial_ms,
        filters=JumpFilters(
            label=label,
            face_cluster_id=face_cluster_id,
            text=text,
            min_confidence=min_confidence,
        ),
        selection=selection_options.selection_of(selection, profile, run),
    )
    if as_json:
        print_json(answer)
    else:
        print_jump(answer)
