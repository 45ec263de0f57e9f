"""`filmgate publish`: write a finished run to an object store or a folder."""

from functools import partial
from typing import Annotated

import typer

from filmgate.cli.arguments import AsJson, RunReference
from filmgate.cli.output import print_json, stderr_console, stdout_console
from filmgate.cli.progress import stage_progress
from filmgate.services.sync import Sync
from filmgate.wiring import logs, settings

PUBLISHING = "publishing"


def publish(
    run: RunReference,
    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            metavar="PLACE",
            help="s3://bucket/prefix or a folder. Default: FILMGATE_PUBLISH_TO.",
        ),
    ] = None,
    announce: Annotated[
        bool,
        typer.Option("--announce/--no-announce", help="Announce the run in the database's outbox."),
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Seal a completed run and publish it; the manifest is written last.

    To complete an interrupted publication, run the same command again. Existing objects are never
    overwritten.
    """
    logs.configure("WARNING")
    with stage_progress(quiet=True) as progress:
        report = partial(progress.stage_progress, PUBLISHING)
        published = Sync(settings.load()).publish(run, to, report, announce=announce)
    if as_json:
        print_json(published)
        return
    written = f"{published.uploaded:,} of {published.files:,} files written"
    if not published.uploaded:
        written = f"all {published.files:,} files existed already"
    console = stdout_console()
    console.print(f"{published.asset_id} / {published.run_id}  published and sealed  {written}")
    console.print(f"  {published.source}/{published.manifest_key}")
    if not published.is_announced:
        stderr_console().print("No event was written: consumers must poll the store.")
