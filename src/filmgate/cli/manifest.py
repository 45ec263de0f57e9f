"""`filmgate manifest`: the index of a run."""

from typing import Annotated

import typer

app = typer.Typer(help="The index of a run.", no_args_is_help=True)


@app.callback()
def manifest() -> None:
    """The index of a run."""


@app.command("rebuild")
def rebuild(
    run: Annotated[str, typer.Argument(help="A run's folder, asset/run, a run id, or an asset.")],
) -> None:
    """Write manifest.json again from the run's records; prints where."""
    from filmgate.app import settings  # keeps --help quick
    from filmgate.app.system import System

    folder = System(settings.load()).rebuild_manifest(run)
    typer.echo(str(folder / "manifest.json"))
