"""`filmgate gameplay`: what to do with quality manifests."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from filmgate.cli.output import AsJson

if TYPE_CHECKING:
    from filmgate.core.answers import QualityReportAnswer

app = typer.Typer(help="Look at quality manifests of game sessions.", no_args_is_help=True)


@app.callback()
def gameplay() -> None:
    """Look at quality manifests of game sessions."""


@app.command("report")
def report(
    manifest: Annotated[Path, typer.Argument(help="A quality manifest, in Parquet.")],
    output: Annotated[
        Path | None, typer.Option(help="The page; by default beside the manifest, as .html.")
    ] = None,
    manifest_bucket: Annotated[
        str | None, typer.Option(help="Where the .pt files are; game-data-manifest.")
    ] = None,
    worst: Annotated[
        int, typer.Option(min=1, max=1000, help="Sessions shown of each check, at most.")
    ] = 12,
    as_json: AsJson = False,
) -> None:
    """Make a page of a manifest: shares, errors, and the frames of what was flagged, worst first.

    It is one file, and opens without a server."""
    from filmgate.app import settings  # keeps --help quick
    from filmgate.app.quality_reports import write_report
    from filmgate.cli.output import print_json

    place = output or manifest.with_suffix(".html")
    told = write_report(manifest, place, settings.load(), bucket=manifest_bucket, worst=worst)
    if as_json:
        print_json(told)
        return
    print_counts(told)


def print_counts(told: "QualityReportAnswer") -> None:
    """How many sessions each check flagged, what failed, and where the page is."""
    from rich.markup import escape  # keeps --help quick

    from filmgate.cli.output import out, printable

    console = out()
    console.print(f"{told.sessions:,} sessions, {told.clean:,} without a flag")
    for check in told.checks:
        console.print(f"  {check.name:24} {check.flagged:>7,} of {check.judged:,}")
    for kind in told.failures:
        line = f"  {kind.count:,} × {kind.code}, such as {kind.example}"
        console.print(escape(printable(line)))
    if told.without_frames:
        console.print(
            f"[yellow]{told.without_frames} are shown without frames[/]: --manifest-bucket says "
            "where the .pt files are"
        )
    console.print(f"page       {escape(told.page)}")
