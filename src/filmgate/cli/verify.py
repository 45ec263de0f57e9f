"""`filmgate verify`: hold a whole run against its records."""

from typing import Annotated

import typer

from filmgate.cli.output import AsJson


def verify(
    run: Annotated[str, typer.Argument(help="A run's folder, asset/run, a run id, or an asset.")],
    as_json: AsJson = False,
) -> None:
    """Read every file of a run and hold it against the records; nothing is run or written."""
    from filmgate.app import settings  # keeps --help quick
    from filmgate.app.system import System
    from filmgate.cli.output import out, print_json, print_reasons, stage_table, styled
    from filmgate.core.errors import ExitCode
    from filmgate.core.states import StageState

    _, manifest = System(settings.load()).verify(run)
    blocked = [e for e in manifest.stages.values() if e.status is StageState.BLOCKED]
    if as_json:
        print_json(manifest)
    else:
        out().print(f"{styled(manifest.status)}  {manifest.asset.id} / {manifest.run_id}\n")
        out().print(stage_table(manifest))
        print_reasons(manifest)
        files = sum(len(entry.artifacts) for entry in manifest.stages.values())
        if not blocked:
            told = "1 file" if files == 1 else f"{files} files"
            out().print(f"\nevery byte of {told} is what its record says")
    raise typer.Exit(ExitCode.BLOCKED if blocked else ExitCode.DONE)
