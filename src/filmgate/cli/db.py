"""`filmgate db`: the embedded database, and what is done to any."""

import json
from typing import Annotated

import typer

from filmgate.cli.output import AsJson

app = typer.Typer(help="The database.", no_args_is_help=True)


@app.command("start")
def start(as_json: AsJson = False) -> None:
    """Start the embedded database and let it run until `filmgate db stop`; prints its URL."""
    from filmgate.app import settings  # keeps --help quick
    from filmgate.app.database import Database

    address = Database(settings.load()).start()
    typer.echo(json.dumps({"url": address}) if as_json else address)


@app.command("stop")
def stop(as_json: AsJson = False) -> None:
    """Stop the embedded database; refused while a command uses it."""
    from filmgate.app import settings  # keeps --help quick
    from filmgate.app.database import Database

    was_running = Database(settings.load()).stop()
    told = "stopped" if was_running else "was not running"
    typer.echo(json.dumps({"was_running": was_running}) if as_json else told)


@app.command("url")
def url(as_json: AsJson = False) -> None:
    """Print where the database is reached; the embedded one only while it runs."""
    from filmgate.app import settings  # keeps --help quick
    from filmgate.app.database import Database

    address = Database(settings.load()).url()
    typer.echo(json.dumps({"url": address}) if as_json else address)


@app.command("rebuild-projections")
def rebuild_projections(as_json: AsJson = False) -> None:
    """Make every projection again from the artifacts, in one transaction."""
    from filmgate.app import settings  # keeps --help quick
    from filmgate.app.archive import Archive

    counts = Archive(settings.load()).rebuild_projections()
    if as_json:
        typer.echo(json.dumps({"projections": counts}))
        return
    for name, count in counts.items():
        typer.echo(f"{count:>12,} {name}")


@app.command("remove-book")
def remove_book(
    book: Annotated[str, typer.Argument(help="The book, as `filmgate ask` lists it.")],
    env: Annotated[str | None, typer.Option(help="Where it was taken in.")] = None,
    as_json: AsJson = False,
) -> None:
    """Take a rulebook out of the corpus; its jobs stay on disk."""
    from filmgate.app import settings  # keeps --help quick
    from filmgate.app.rulebooks import Rulebooks

    removed = Rulebooks(settings.load()).remove(book, env)
    if as_json:
        typer.echo(removed.model_dump_json())
        return
    typer.echo(f"{removed.book} is gone from {removed.env}, with {removed.chunks} passages")


@app.command("import-legacy")
def import_legacy(
    asset: Annotated[str, typer.Argument(help="The video's asset id.")],
    source: Annotated[
        str, typer.Argument(help="A JSONL or CSV file, a folder of them, or table:schema.name.")
    ],
    artifact_type: Annotated[
        str | None, typer.Option("--type", help="What it holds, where its name does not say.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Take in what an older product left of a video; served, labelled, where there is no run."""
    from filmgate.app import settings  # keeps --help quick
    from filmgate.app.archive import Archive

    receipts = Archive(settings.load()).import_legacy(asset, source, artifact_type)
    if as_json:
        typer.echo(json.dumps({"imported": [each.model_dump(mode="json") for each in receipts]}))
        return
    for each in receipts:
        typer.echo(f"{each.artifacts:>12,} {each.artifact_type}  from {each.source}")
