"""`filmgate jump`: to the next or previous thing of a kind."""

from typing import Annotated

import typer

from filmgate.cli.output import AsJson
from filmgate.core.questions import MAX_MS, Direction, JumpKind


def jump(
    asset: Annotated[str, typer.Argument(help="The video's asset id.")],
    kind: Annotated[JumpKind, typer.Option(help="What to jump to.")],
    direction: Annotated[Direction, typer.Option()] = Direction.NEXT,
    from_ms: Annotated[int, typer.Option(help="Where one stands.", min=0, max=MAX_MS)] = 0,
    as_json: AsJson = False,
) -> None:
    """The next thing that starts after a moment, or the last that starts before it."""
    from filmgate.app import settings  # keeps --help quick
    from filmgate.app.system import System
    from filmgate.cli.answers import print_jump
    from filmgate.cli.output import print_json

    answer = System(settings.load()).jump(asset, kind, direction=direction, from_ms=from_ms)
    if as_json:
        print_json(answer)
    else:
        print_jump(answer)
