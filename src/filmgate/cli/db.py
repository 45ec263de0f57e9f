"""`filmgate db`: the embedded database."""

import json

import typer

from filmgate.cli.output import AsJson

app = typer.Typer(help="The embedded database.", no_args_is_help=True)


@app.command("start")
def start(as_json: AsJson = False) -> None:
    """Start the embedded database and let it run until `filmgate db stop`; prints its URL."""
    from filmgate.app import settings  # keeps --help quick
    from filmgate.app.system import System

    address = System(settings.load()).start_database()
    typer.echo(json.dumps({"url": address}) if as_json else address)


@app.command("stop")
def stop(as_json: AsJson = False) -> None:
    """Stop the embedded database; refused while a command uses it."""
    from filmgate.app import settings  # keeps --help quick
    from filmgate.app.system import System

    was_running = System(settings.load()).stop_database()
    told = "stopped" if was_running else "was not running"
    typer.echo(json.dumps({"was_running": was_running}) if as_json else told)


@app.command("url")
def url(as_json: AsJson = False) -> None:
    """Print where the database is reached; the embedded one only while it runs."""
    from filmgate.app import settings  # keeps --help quick
    from filmgate.app.system import System

    address = System(settings.load()).database_url()
    typer.echo(json.dumps({"url": address}) if as_json else address)
