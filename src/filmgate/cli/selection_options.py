"""Options that select the run whose artifacts a query returns."""

from typing import Annotated

import typer

from filmgate.cli.completion import complete_runs
from filmgate.core.envelope import parse_artifact_id
from filmgate.core.errors import UsageError
from filmgate.core.questions import SelectionMode
from filmgate.core.selection import Selection

Mode = Annotated[
    SelectionMode | None,
    typer.Option(
        "--selection", help="Selection policy. Default: the one stored by `filmgate select`."
    ),
]
Profile = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Use the latest run with this model profile."),
]
Run = Annotated[
    str | None,
    typer.Option("--run", metavar="RUN", help="Use this run only.", autocompletion=complete_runs),
]
Cursor = Annotated[
    str | None,
    typer.Option(metavar="CURSOR", help="Cursor of a page: the `next_cursor` of the page before."),
]
Artifact = Annotated[
    str | None, typer.Option("--artifact", metavar="ID", help="Use this artifact only.")
]


def artifact_selection(artifact: str, asset: str, artifact_type: str) -> Selection:
    """Select one artifact; raises UsageError if it has another asset or type."""
    its_asset, run, its_type, ordinal = parse_artifact_id(artifact)
    if (its_asset, its_type) != (asset, artifact_type):
        raise UsageError(
            "the artifact does not match the asset and type",
            expected=f"a {artifact_type} of {asset}",
            got=f"a {its_type} of {its_asset}",
        )
    return Selection.of(run_id=run, ordinal=ordinal)
