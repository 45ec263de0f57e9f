"""`filmgate status`: how a run stands, or which runs there are."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from filmgate.cli.output import AsJson

if TYPE_CHECKING:
    from filmgate.core.manifest import Manifest


def status(
    run: Annotated[
        str | None,
        typer.Argument(help="A run's folder, asset/run, a run id, or an asset (its newest run)."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """How a run stands, derived anew from its records; without a run, all runs in a list."""
    from rich.markup import escape  # keeps --help quick

    from filmgate.app import settings
    from filmgate.app.system import System
    from filmgate.cli.output import out, print_json, print_reasons, stage_table, styled

    system = System(settings.load())
    if run is None:
        _list(*system.runs(), as_json=as_json)
        return
    folder, manifest = system.status(run)
    if as_json:
        print_json(manifest)
        return
    out().print(f"{styled(manifest.status)}  {manifest.asset.id} / {manifest.run_id}\n")
    out().print(stage_table(manifest))
    print_reasons(manifest)
    if _died(manifest):
        out().print("\nits runner is gone; the command that began it resumes it")
    out().print(f"\nfiles      {escape(str(folder))}")


def _died(manifest: "Manifest") -> bool:
    """Whether a stage was begun, and nobody holds the run."""
    from filmgate.core.states import RunState, StageState

    is_open = any(entry.status is StageState.RUNNING for entry in manifest.stages.values())
    return is_open and manifest.status is not RunState.RUNNING


def _list(manifests: "list[Manifest]", faults: list[str], *, as_json: bool) -> None:
    from rich.table import Table

    from filmgate.cli.output import out, styled, talk

    for fault in faults:
        talk().print(f"[red]unreadable[/]  {fault}")
    if as_json:
        rows = ",".join(manifest.model_dump_json(by_alias=True) for manifest in manifests)
        typer.echo(f'{{"runs":[{rows}],"unreadable":{json.dumps(faults)}}}')
        return
    if not manifests:
        out().print("no runs yet; `filmgate run episode VIDEO` makes one")
        return
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for column in ("asset", "run", "state", "began (UTC)"):
        table.add_column(column, no_wrap=True, overflow="ignore")
    for manifest in manifests:
        began = f"{manifest.created_at:%Y-%m-%d %H:%M:%S}"
        table.add_row(manifest.asset.id, manifest.run_id, styled(manifest.status), began)
    out().print(table)
