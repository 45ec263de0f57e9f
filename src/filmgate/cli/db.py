"""`filmgate db`: the embedded database."""

import typer

app = typer.Typer(help="The embedded database.", no_args_is_help=True)


@app.command("start")
def start() -> None:
    """Start the embedded database and let it run until `filmgate db stop`; prints its URL."""
    from filmgate.app import settings  # keeps --help quick
    from filmgate.app.system import System

    typer.echo(System(settings.load()).start_database())


@app.command("stop")
def stop() -> None:
    """Stop the embedded database; refused while a command uses it."""
    from filmgate.app import settings
    from filmgate.app.system import System

    was_running = System(settings.load()).stop_database()
    typer.echo("stopped" if was_running else "was not running")


@app.command("url")
def url() -> None:
    """Print where the database is reached; the embedded one only while it runs."""
    from filmgate.app import settings
    from filmgate.app.system import System

    typer.echo(System(settings.load()).database_url())
