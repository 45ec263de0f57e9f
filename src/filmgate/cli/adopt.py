"""`filmgate adopt`: commit files of a stage that were edited by hand."""

from typing import Annotated

import typer

from filmgate.cli.arguments import AsJson
from filmgate.cli.completion import complete_runs, complete_stages
from filmgate.cli.output import results_only
from filmgate.cli.report import print_report
from filmgate.services.runs import Runs
from filmgate.wiring import settings


def adopt(
    stage: Annotated[
        str,
        typer.Argument(
            metavar="STAGE", help="Stage whose files were edited.", autocompletion=complete_stages
        ),
    ],
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            help="Asset id (its newest run), ASSET/RUN, run id or folder. Default: this folder.",
            autocompletion=complete_runs,
        ),
    ] = ".",
    as_json: AsJson = False,
) -> None:
    """Commit the edited files of a stage as a new attempt by the producer `human`.

    Every file is validated first. The next `filmgate run` runs the dependent stages again.
    """
    with results_only():
        report = Runs(settings.load()).adopt(stage, run)
    print_report(report, as_json=as_json)
    raise typer.Exit(report.exit_code)
