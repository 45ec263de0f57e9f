"""The options by which a command chooses what it is answered from."""

from typing import TYPE_CHECKING, Annotated

import typer

from filmgate.core.questions import SelectionMode

if TYPE_CHECKING:
    from filmgate.core.selection import Selection

Mode = Annotated[
    SelectionMode | None,
    typer.Option("--selection", help="How the run is chosen; the stored choice where left out."),
]
Profile = Annotated[str | None, typer.Option(help="The latest run under this model profile.")]
Run = Annotated[str | None, typer.Option("--run", help="This run, and no other.")]
Artifact = Annotated[str | None, typer.Option("--artifact", help="This artifact, and no other.")]


def selection_of(
    mode: SelectionMode | None,
    profile: str | None,
    run: str | None,
    artifact: str | None = None,
) -> "Selection":
    """What the options mean together; UsageError where they do not go together."""
    from filmgate.core.envelope import parse_artifact_id  # keeps --help quick
    from filmgate.core.selection import Selection

    ordinal = None
    if artifact is not None:
        _, run, _, ordinal = parse_artifact_id(artifact)
    return Selection.of(mode, profile=profile, run_id=run, ordinal=ordinal)
