"""`filmgate logs`: what a stage said while it ran."""

from typing import Annotated

import typer


def logs(
    run: Annotated[str, typer.Argument(help="A run's folder, asset/run, a run id, or an asset.")],
    stage: Annotated[str | None, typer.Argument(help="Only this stage.")] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the run ends.")
    ] = False,
) -> None:
    """The events of a run, one JSON object a line, in order of time."""
    from filmgate.app import settings  # keeps --help quick
    from filmgate.app.system import System

    for line in System(settings.load()).logs(run, stage, follow=follow):
        typer.echo(line)
