"""`filmgate videos`: list the videos in the database."""

from rich.markup import escape

from filmgate.cli.arguments import AsJson, Limit
from filmgate.cli.output import print_json, print_table, stderr_console
from filmgate.cli.selection_options import Cursor
from filmgate.cli.text import printable
from filmgate.services.videos import VideoService
from filmgate.wiring import pipelines, settings

MB = 1_000_000


def videos(
    limit: Limit = 100,
    cursor: Cursor = None,
    as_json: AsJson = False,
) -> None:
    """List uploaded videos and videos with ingested runs, sorted by id."""
    with VideoService(settings.load()).stored() as stored:
        answer = stored.all(limit, cursor)
    if as_json:
        print_json(answer)
        return
    if not answer.videos:
        example = pipelines.first_example()
        stderr_console().print(f"No video exists yet. To add one: filmgate run {example}")
        return
    rows = []
    for video in answer.videos:
        size = f"{video.size_bytes / MB:,.1f}"
        name = escape(printable(video.file_name))
        runs, completed = str(video.runs), str(video.completed)
        rows.append([escape(video.asset_id), runs, completed, size, name])
    heads = ("video", "runs", "completed", "MB", "file")
    print_table(heads, rows, right={"runs", "completed", "MB"})
    if answer.next_cursor:
        stderr_console().print(
            f"More results exist: increase --limit, or use --cursor {answer.next_cursor}"
        )
