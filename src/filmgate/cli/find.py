"""`filmgate find`: where something is said."""

from typing import Annotated

import typer

from filmgate.cli.output import AsJson
from filmgate.core.questions import MAX_MS, Direction


def find(
    asset: Annotated[str, typer.Argument(help="The video's asset id.")],
    words: Annotated[
        list[str],
        typer.Argument(help='What to look for: words, "a phrase", this or that, -without.'),
    ],
    direction: Annotated[Direction, typer.Option()] = Direction.NEXT,
    from_ms: Annotated[
        int | None,
        typer.Option(help="From here on; all of the video where left out.", min=0, max=MAX_MS),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 20,
    as_json: AsJson = False,
) -> None:
    """Where in a video something is said, in order of time."""
    from filmgate.app import settings  # keeps --help quick
    from filmgate.app.system import System
    from filmgate.cli.answers import print_find
    from filmgate.cli.output import print_json

    answer = System(settings.load()).find(
        asset, " ".join(words), direction=direction, from_ms=from_ms, limit=limit
    )
    if as_json:
        print_json(answer)
    else:
        print_find(answer)
