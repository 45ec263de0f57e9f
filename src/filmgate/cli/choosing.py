"""The options by which a command chooses what it is answered from."""

from typing import TYPE_CHECKING, Annotated

import typer

from filmgate.core.errors import UsageError
from filmgate.core.questions import SelectionMode

if TYPE_CHECKING:
    from filmgate.core.answers import AssetAnswer
    from filmgate.core.selection import Selection

Mode = Annotated[
    SelectionMode | None,
    typer.Option("--selection", help="How the run is chosen; the stored choice where left out."),
]
Profile = Annotated[str | None, typer.Option(help="The latest run under this model profile.")]
Run = Annotated[str | None, typer.Option("--run", help="This run, and no other.")]
Cursor = Annotated[
    str | None, typer.Option(help="The next page: `next_cursor` of the answer before.")
]
Artifact = Annotated[str | None, typer.Option("--artifact", help="This artifact, and no other.")]


def selection_of(mode: SelectionMode | None, profile: str | None, run: str | None) -> "Selection":
    """What the options mean together; UsageError where they do not go together."""
    from filmgate.core.selection import Selection  # keeps --help quick

    return Selection.of(mode, profile=profile, run_id=run)


def artifact_alone(artifact: str, asset: str, artifact_type: str) -> "Selection":
    """The selection of one artifact; UsageError where it is of another asset or type."""
    from filmgate.core.envelope import parse_artifact_id  # keeps --help quick
    from filmgate.core.selection import Selection

    of_asset, run, of_type, ordinal = parse_artifact_id(artifact)
    if (of_asset, of_type) != (asset, artifact_type):
        raise UsageError(
            "this artifact is of something else",
            expected=f"a {artifact_type} of {asset}",
            got=f"a {of_type} of {of_asset}",
        )
    return Selection.of(run_id=run, ordinal=ordinal)


def tell_unserved(answer: "AssetAnswer", chosen: "Selection") -> None:
    """Say that nothing was looked at, where no completed run is what was chosen."""
    from filmgate.cli.output import talk

    if not answer.runs and chosen.mode is not SelectionMode.DEFAULT:
        talk().print(
            "no completed run is what was chosen: "
            f"`filmgate profiles {answer.asset_id}` lists what there is"
        )
