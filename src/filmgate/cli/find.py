"""`filmgate find` and `filmgate search`: where words stand, in one video or in all."""

from typing import Annotated

import typer

from filmgate.cli import choosing
from filmgate.cli.output import AsJson
from filmgate.core.errors import UsageError
from filmgate.core.moments import MAX_MS
from filmgate.core.questions import Direction, TextSource

Words = Annotated[
    list[str],
    typer.Argument(help='What to look for: words, "a phrase", this or that, -without.'),
]
Limit = Annotated[int, typer.Option(min=1, max=1000, help="So many at most.")]


def find(
    asset: Annotated[str, typer.Argument(help="The video's asset id.")],
    words: Words,
    source: Annotated[
        TextSource, typer.Option(help="What was said, what stands on screen, or both.")
    ] = TextSource.TRANSCRIPT,
    direction: Annotated[Direction, typer.Option()] = Direction.NEXT,
    from_ms: Annotated[
        int | None,
        typer.Option(
            help="Only what starts after (before) this; all of it where left out.",
            min=-1,
            max=MAX_MS,
        ),
    ] = None,
    limit: Limit = 20,
    cursor: choosing.Cursor = None,
    selection: choosing.Mode = None,
    profile: choosing.Profile = None,
    run: choosing.Run = None,
    as_json: AsJson = False,
) -> None:
    """Where in a video something is said or shown, in order of time."""
    from filmgate.app import settings  # keeps --help quick
    from filmgate.app.archive import Archive
    from filmgate.cli.answers import print_find
    from filmgate.cli.output import print_json

    chosen = choosing.selection_of(selection, profile, run)
    answer = Archive(settings.load()).find(
        asset,
        _query_of(words),
        source=source,
        direction=direction,
        from_ms=from_ms,
        limit=limit,
        cursor=cursor,
        selection=chosen,
    )
    if as_json:
        print_json(answer)
    else:
        print_find(answer)
        choosing.tell_unserved(answer, chosen)


def search(
    words: Words,
    source: Annotated[
        TextSource, typer.Option(help="What was said, what stands on screen, or both.")
    ] = TextSource.ALL,
    limit: Limit = 20,
    cursor: choosing.Cursor = None,
    as_json: AsJson = False,
) -> None:
    """Where in all videos something is said or shown; a few places of each, newest video first."""
    from filmgate.app import settings  # keeps --help quick
    from filmgate.app.archive import Archive
    from filmgate.cli.answers import print_search
    from filmgate.cli.output import print_json

    answer = Archive(settings.load()).search(
        _query_of(words), source=source, limit=limit, cursor=cursor
    )
    if as_json:
        print_json(answer)
    else:
        print_search(answer)


def _query_of(words: list[str]) -> str:
    """The words in one; what looks like an option is none, and is no word either."""
    strange = [word for word in words if word.startswith("--")]
    if strange:
        raise UsageError(
            f"no option {strange[0]}", expected="words, or the options of --help", got=strange[0]
        )
    return " ".join(words)
