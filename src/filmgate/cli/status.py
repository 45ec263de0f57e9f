"""`filmgate status`: how a run stands, or which runs there are."""

import json
import time
from typing import TYPE_CHECKING, Annotated

import typer

from filmgate.cli.output import AsJson

if TYPE_CHECKING:
    from rich.console import RenderableType

    from filmgate.app.run_status import RunStatus
    from filmgate.app.system import System
    from filmgate.core.legacy import LegacyRun

LOOK_EVERY_S = 0.5


def status(
    run: Annotated[
        str | None,
        typer.Argument(help="A run's folder, asset/run, a run id, or an asset (its newest run)."),
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Show it anew until the run ends.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """How a run stands, derived anew from its records; without a run, all runs in a list."""
    from filmgate.app import settings  # keeps --help quick
    from filmgate.app.system import System
    from filmgate.cli.output import out, print_json, print_reasons
    from filmgate.core.errors import NotFound

    system = System(settings.load())
    if run is None:
        _list(system, as_json=as_json)
        return
    try:
        stands = system.status(run)
    except NotFound:
        legacy = system.legacy_run(run)
        if legacy is None:
            raise
        _tell_legacy(legacy, as_json=as_json)
        return
    if watch and not as_json:
        stands = _watch(system, stands)
    else:
        while watch and stands.is_at_work:
            time.sleep(LOOK_EVERY_S)
            stands = system.status(run)
        if as_json:
            print_json(stands.manifest)
            return
        out().print(_view(stands))
    print_reasons(stands.manifest)


def _tell_legacy(run: "LegacyRun", *, as_json: bool) -> None:
    from rich.markup import escape

    from filmgate.cli.output import columns, out, print_json, printable, styled

    if as_json:
        print_json(run)
        return
    named = escape(printable(f"{run.asset_id} / {run.run_id or ''}"))
    out().print(f"{styled(run.status)} (legacy)  {named}\n")
    table = columns("stage", "state", "told by")
    for name, stage in run.stages.items():
        told_by = escape(printable(stage.derived_from))
        table.add_row(escape(printable(name)), styled(stage.status), told_by)
    out().print(table)
    out().print("\nan older layout tells so; nothing of it was verified")


def _watch(system: "System", stands: "RunStatus") -> "RunStatus":
    """Show the run in place while it goes on."""
    from rich.live import Live

    from filmgate.cli.output import out

    with Live(_view(stands), console=out(), auto_refresh=False) as live:
        while stands.is_at_work:
            time.sleep(LOOK_EVERY_S)
            stands = system.status(str(stands.folder))
            live.update(_view(stands), refresh=True)
    return stands


def _view(stands: "RunStatus") -> "RenderableType":
    from rich.console import Group
    from rich.markup import escape
    from rich.text import Text

    from filmgate.cli.output import stage_table, styled

    manifest = stands.manifest
    parts: list[RenderableType] = [
        Text.from_markup(f"{styled(manifest.status)}  {manifest.asset.id} / {manifest.run_id}\n"),
        stage_table(manifest, stands.progress),
        Text.from_markup(f"\nfiles      {escape(str(stands.folder))}"),
    ]
    if stands.seal is not None:
        since = f"{stands.seal.sealed_at:%Y-%m-%d %H:%M:%S} UTC"
        parts.append(Text(f"sealed     since {since}, published to {stands.seal.to}"))
    if stands.is_suspect:
        silence = f"no word from its runner for {stands.silence_s:.0f} s: it may be stopped"
        parts.append(Text(f"suspect    {silence}", style="bold yellow"))
    if stands.has_died:
        parts.append(Text("its runner is gone; the command that began it resumes it"))
    return Group(*parts)


def _list(system: "System", *, as_json: bool) -> None:
    from rich.markup import escape
    from rich.table import Table

    from filmgate.cli.output import out, printable, styled, talk

    manifests, faults = system.runs()
    legacy = system.legacy_runs()
    for fault in faults:
        talk().print(f"[red]unreadable[/]  {escape(printable(fault))}")
    if as_json:
        rows = ",".join(manifest.model_dump_json(by_alias=True) for manifest in manifests)
        old = ",".join(run.model_dump_json() for run in legacy)
        typer.echo(f'{{"runs":[{rows}],"legacy":[{old}],"unreadable":{json.dumps(faults)}}}')
        return
    if not manifests and not legacy:
        out().print("no runs yet; `filmgate run episode VIDEO` makes one")
        return
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for column in ("asset", "run", "state", "began (UTC)"):
        table.add_column(column, no_wrap=True, overflow="ignore")
    for manifest in manifests:
        began = f"{manifest.created_at:%Y-%m-%d %H:%M:%S}"
        table.add_row(manifest.asset.id, manifest.run_id, styled(manifest.status), began)
    for run in legacy:
        asset, name = escape(printable(run.asset_id)), escape(printable(run.run_id or ""))
        table.add_row(asset, name, f"{styled(run.status)} (legacy)", "")
    out().print(table)
