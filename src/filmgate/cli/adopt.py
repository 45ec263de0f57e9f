"""`filmgate adopt`: take files that were mended by hand for a stage's result."""

from typing import Annotated

import typer

from filmgate.cli.output import AsJson


def adopt(
    stage: Annotated[str, typer.Argument(help="The stage whose files were mended.")],
    run: Annotated[
        str, typer.Argument(help="A run's folder, asset/run, a run id, or an asset.")
    ] = ".",
    as_json: AsJson = False,
) -> None:
    """Take a stage's files as they lie in the run's folder for its result: a new attempt, by
    producer `human`.

    Each is held against its contract first. What stands on the stage is due again.
    """
    from filmgate.app import settings  # keeps --help quick
    from filmgate.app.system import System
    from filmgate.cli.output import results_only
    from filmgate.cli.report import print_report

    with results_only():
        report = System(settings.load()).adopt(stage, run)
    print_report(report, as_json=as_json)
    raise typer.Exit(report.exit_code)
