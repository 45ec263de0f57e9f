"""`filmgate manifest`: the index of a run."""

from typing import Annotated

import typer

from filmgate.cli.output import AsJson

app = typer.Typer(help="The index of a run.", no_args_is_help=True)


@app.callback()
def index() -> None:
    """The index of a run."""


@app.command("rebuild")
def rebuild(
    run: Annotated[str, typer.Argument(help="A run's folder, asset/run, a run id, or an asset.")],
    as_json: AsJson = False,
) -> None:
    """Write manifest.json again from the run's records; prints where."""
    from filmgate.app import settings  # keeps --help quick
    from filmgate.app.system import System
    from filmgate.cli.output import print_json

    folder, manifest = System(settings.load()).rebuild_manifest(run)
    if as_json:
        print_json(manifest)
    else:
        typer.echo(str(folder / "manifest.json"))
