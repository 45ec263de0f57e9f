"""`filmgate logs`: print the events of a run."""

from typing import Annotated

import typer

from filmgate.cli.arguments import OptionalStage, RunReference
from filmgate.services.runs import Runs
from filmgate.wiring import settings


def logs(
    run: RunReference,
    stage: OptionalStage = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Print new events until the run ends.")
    ] = False,
) -> None:
    """Print the events of a run, sorted by time, as one JSON object per line."""
    for line in Runs(settings.load()).logs(run, stage, follow=follow):
        typer.echo(line)
