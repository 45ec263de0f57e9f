"""Arguments and options that several commands share."""

from typing import Annotated

import typer

from filmgate.cli.completion import complete_assets, complete_runs, complete_stages

Asset = Annotated[
    str,
    typer.Argument(metavar="ASSET", help="Asset id, such as film.", autocompletion=complete_assets),
]
RunReference = Annotated[
    str,
    typer.Argument(
        metavar="RUN",
        help="Asset id (its newest run), ASSET/RUN, run id, or folder of a run.",
        autocompletion=complete_runs,
    ),
]
OptionalStage = Annotated[
    str | None,
    typer.Argument(
        metavar="STAGE", help="Name of one stage. Default: all.", autocompletion=complete_stages
    ),
]
Limit = Annotated[
    int, typer.Option(metavar="N", min=1, max=1000, help="Maximum number of results.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Wide = Annotated[bool, typer.Option("--wide", help="Show all columns.")]
