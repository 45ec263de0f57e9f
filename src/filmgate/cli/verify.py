"""`filmgate verify`: verify every file of a run."""

import typer

from filmgate.cli.arguments import AsJson, RunReference
from filmgate.cli.output import print_json, print_reasons, print_stages, stdout_console, styled
from filmgate.cli.text import counted
from filmgate.core.errors import ExitCode
from filmgate.core.states import StageState
from filmgate.services.runs import Runs
from filmgate.wiring import settings


def verify(run: RunReference, as_json: AsJson = False) -> None:
    """Hash every file of a run and compare the digests with the records; nothing is written."""
    _, manifest = Runs(settings.load()).verify(run)
    blocked = [e for e in manifest.stages.values() if e.status is StageState.BLOCKED]
    if as_json:
        print_json(manifest)
    else:
        stdout_console().print(
            f"{styled(manifest.status)}  {manifest.asset.id} / {manifest.run_id}\n"
        )
        print_stages(manifest)
        print_reasons(manifest)
        files = sum(len(entry.artifacts) for entry in manifest.stages.values())
        if not blocked:
            verb = "matches" if files == 1 else "match"
            stdout_console().print(f"\n{counted(files, 'files')} {verb} the records")
    raise typer.Exit(ExitCode.BLOCKED if blocked else ExitCode.DONE)
