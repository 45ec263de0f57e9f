"""`filmgate gameplay`: report on quality manifests of game sessions."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from filmgate.cli.arguments import AsJson
from filmgate.cli.lazy_group import command_group
from filmgate.cli.output import print_json, stdout_console
from filmgate.cli.text import counted, examples, printable
from filmgate.core.answers import QualityReportAnswer
from filmgate.services.quality_reports import write_report
from filmgate.wiring import settings

app = command_group("Report on quality manifests of game sessions.")


@app.callback()
def _gameplay() -> None:
    """Report on quality manifests of game sessions."""


@app.command("report", epilog=examples("filmgate gameplay report q.parquet --manifest-bucket ./pt"))
def report(
    manifest: Annotated[
        Path, typer.Argument(metavar="MANIFEST", help="Quality manifest, a Parquet file.")
    ],
    output: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="HTML file to write. Default: beside the manifest."),
    ] = None,
    manifest_bucket: Annotated[
        str | None,
        typer.Option(
            metavar="BUCKET", help="Bucket or folder of .pt files. Default: game-data-manifest."
        ),
    ] = None,
    worst: Annotated[
        int, typer.Option(metavar="N", min=1, max=1000, help="Show at most N sessions per check.")
    ] = 12,
    as_json: AsJson = False,
) -> None:
    """Write an HTML report of a quality manifest.

    The report shows how many sessions each check flagged, the errors, and frames of the flagged
    sessions, worst first. It is one file, which a browser opens without a server.
    """
    place = output or manifest.with_suffix(".html")
    answer = write_report(manifest, place, settings.load(), bucket=manifest_bucket, worst=worst)
    if as_json:
        print_json(answer)
        return
    print_counts(answer)


def print_counts(answer: QualityReportAnswer) -> None:
    """Print the number of sessions that each check flagged, the failures, and the report's path."""
    console = stdout_console()
    console.print(f"{counted(answer.sessions, 'sessions')}, {answer.clean:,} without a flag")
    for check in answer.checks:
        console.print(f"  {check.name:24} {check.flagged:>7,} of {check.judged:,}")
    for kind in answer.failures:
        line = f"  {kind.count:,} × {kind.code}, such as {kind.example}"
        console.print(escape(printable(line)))
    if answer.without_frames:
        console.print(
            f"[yellow]{counted(answer.without_frames, 'sessions')} without frames[/]: set "
            "--manifest-bucket to the bucket or folder of the .pt files"
        )
    console.print(f"page       {escape(answer.page)}")
