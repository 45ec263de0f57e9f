"""`filmgate find` and `filmgate search`: find words in one video or in all videos."""

from typing import Annotated

import typer

from filmgate.cli import selection_options
from filmgate.cli.arguments import AsJson, Asset, Limit
from filmgate.cli.output import print_json
from filmgate.cli.rendering import print_find, print_search
from filmgate.core.errors import UsageError
from filmgate.core.moments import MAX_MS
from filmgate.core.questions import Direction, TextSource
from filmgate.services.queries import Queries
from filmgate.wiring import settings

Words = Annotated[
    list[str],
    typer.Argument(metavar="WORDS", help='Words. Syntax: "a phrase"; one or other; -excluded.'),
]
Source = Annotated[TextSource, typer.Option(help="Search speech, on-screen text, or both.")]


def find(
    asset: Asset,
    words: Words,
    source: Source = TextSource.TRANSCRIPT,
    direction: Annotated[
        Direction,
        typer.Option(help="next lists results by ascending time, prev by descending time."),
    ] = Direction.NEXT,
    from_ms: Annotated[
        int | None,
        typer.Option(
            metavar="MS",
            help="List results that start after this time (before it with prev). Default: all.",
            min=-1,
            max=MAX_MS,
        ),
    ] = None,
    limit: Limit = 20,
    cursor: selection_options.Cursor = None,
    selection: selection_options.Mode = None,
    profile: selection_options.Profile = None,
    run: selection_options.Run = None,
    as_json: AsJson = False,
) -> None:
    """Find words in a video; the results are sorted by time."""
    chosen = selection_options.selection_of(selection, profile, run)
    answer = Queries(settings.load()).find(
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
        selection_options.warn_if_unserved(answer, chosen)


def search(
    words: Words,
    source: Source = TextSource.ALL,
    limit: Limit = 20,
    cursor: selection_options.Cursor = None,
    as_json: AsJson = False,
) -> None:
    """Find words in all videos: up to 3 results per video, the newest video first."""
    answer = Queries(settings.load()).search(
        _query_of(words), source=source, limit=limit, cursor=cursor
    )
    if as_json:
        print_json(answer)
    else:
        print_search(answer)


def _query_of(words: list[str]) -> str:
    """Join words to a query; raises UsageError if a word starts with `--`."""
    unknown = [word for word in words if word.startswith("--")]
    if unknown:
        raise UsageError(
            f"option {unknown[0]} does not exist",
            expected="words, or an option that --help lists",
            got=unknown[0],
        )
    return " ".join(words)
