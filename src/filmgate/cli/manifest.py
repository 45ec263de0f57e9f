"""`filmgate manifest`: rebuild the manifest of a run."""

import typer

from filmgate.cli.arguments import AsJson, RunReference
from filmgate.cli.lazy_group import command_group
from filmgate.cli.output import print_json
from filmgate.cli.text import examples
from filmgate.services.runs import Runs
from filmgate.wiring import settings

app = command_group("Rebuild the manifest of a run.")


@app.callback()
def _manifest() -> None:
    """Rebuild the manifest of a run."""


@app.command("rebuild", epilog=examples("filmgate manifest rebuild film"))
def rebuild(run: RunReference, as_json: AsJson = False) -> None:
    """Rebuild manifest.json from the records of the run."""
    folder, manifest = Runs(settings.load()).rebuild_manifest(run)
    if as_json:
        print_json(manifest)
    else:
        typer.echo(str(folder / "manifest.json"))
