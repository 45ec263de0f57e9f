"""`filmgate jump`: to the next or previous thing of a kind."""

from typing import Annotated

import typer

from filmgate.cli import choosing
from filmgate.cli.output import AsJson
from filmgate.core.moments import MAX_MS
from filmgate.core.questions import Direction, JumpKind


def jump(
    asset: Annotated[str, typer.Argument(help="The video's asset id.")],
    kind: Annotated[JumpKind, typer.Option(help="What to jump to.")],
    direction: Annotated[Direction, typer.Option()] = Direction.NEXT,
    from_ms: Annotated[
        int | None,
        typer.Option(
            help="Where one stands; before the start (or after the end) where left out.",
            min=-1,
            max=MAX_MS,
        ),
    ] = None,
    label: Annotated[str | None, typer.Option(help="Of an object or a place.")] = None,
    face_cluster_id: Annotated[
        str | None,
        typer.Option("--cluster", "--face-cluster-id", help="Of a face or a person, such as c1."),
    ] = None,
    text: Annotated[str | None, typer.Option(help="Words of a transcript or on screen.")] = None,
    min_confidence: Annotated[
        float | None, typer.Option(help="Pass over what is less sure.", min=0, max=1)
    ] = None,
    selection: choosing.Mode = None,
    profile: choosing.Profile = None,
    run: choosing.Run = None,
    as_json: AsJson = False,
) -> None:
    """The next thing that starts after a moment, or the last that starts before it."""
    from filmgate.app import settings  # keeps --help quick
    from filmgate.app.archive import Archive
    from filmgate.cli.answers import print_jump
    from filmgate.cli.output import print_json
    from filmgate.core.jump_filters import JumpFilters

    answer = Archive(settings.load()).jump(
        asset,
        kind,
        direction=direction,
        from_ms=from_ms if from_ms is not None else direction.outside,
        filters=JumpFilters(
            label=label,
            face_cluster_id=face_cluster_id,
            text=text,
            min_confidence=min_confidence,
        ),
        selection=choosing.selection_of(selection, profile, run),
    )
    if as_json:
        print_json(answer)
    else:
        print_jump(answer)
