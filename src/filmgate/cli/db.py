"""`filmgate db`: start, stop and maintain the database."""

import json
from typing import Annotated

import typer

from filmgate.cli.arguments import AsJson, Asset
from filmgate.cli.lazy_group import command_group
from filmgate.cli.text import examples
from filmgate.services.archive import ArchiveService
from filmgate.wiring import settings
from filmgate.wiring.database import Database

app = command_group("Start, stop and maintain the database.")


@app.command("start", epilog=examples("filmgate db start"))
def start(as_json: AsJson = False) -> None:
    """Start the embedded database and print its URL.

    The database runs until `filmgate db stop`.
    """
    address = Database(settings.load()).start()
    typer.echo(json.dumps({"url": address}) if as_json else address)


@app.command("stop", epilog=examples("filmgate db stop"))
def stop(as_json: AsJson = False) -> None:
    """Stop the embedded database.

    The command fails while another process uses the database.
    """
    was_running = Database(settings.load()).stop()
    message = "stopped" if was_running else "was not running"
    typer.echo(json.dumps({"was_running": was_running}) if as_json else message)


@app.command("url", epilog=examples("psql $(filmgate db url)"))
def url(as_json: AsJson = False) -> None:
    """Print the URL of the database.

    The embedded database has a URL only while it is running.
    """
    address = Database(settings.load()).url()
    typer.echo(json.dumps({"url": address}) if as_json else address)


@app.command("rebuild-projections", epilog=examples("filmgate db rebuild-projections"))
def rebuild_projections(as_json: AsJson = False) -> None:
    """Rebuild all projections from the artifacts."""
    counts = ArchiveService(settings.load()).rebuild_projections()
    if as_json:
        typer.echo(json.dumps({"projections": counts}))
        return
    for name, count in counts.items():
        typer.echo(f"{count:>12,} {name}")


@app.command("import-legacy", epilog=examples("filmgate db import-legacy film old/labels.jsonl"))
def import_legacy(
    asset: Asset,
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE", help="JSONL or CSV file, folder of such files, or table:schema.name."
        ),
    ],
    artifact_type: Annotated[
        str | None,
        typer.Option(
            "--type", metavar="TYPE", help="Artifact type. Default: derived from the file name."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Import artifacts of an older product.

    Queries return them, labelled as legacy, for artifact types that no run of the video serves.
    """
    receipts = ArchiveService(settings.load()).import_legacy(asset, source, artifact_type)
    if as_json:
        typer.echo(json.dumps({"imported": [each.model_dump(mode="json") for each in receipts]}))
        return
    for receipt in receipts:
        typer.echo(f"{receipt.artifacts:>12,} {receipt.artifact_type}  from {receipt.source}")
