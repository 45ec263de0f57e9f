"""`filmgate status`: show the state of a run, or list runs."""

import json
import time
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.text import Text

from filmgate.cli.arguments import AsJson, Limit, Wide
from filmgate.cli.completion import complete_assets, complete_runs
from filmgate.cli.output import (
    STAGE_HEADS,
    STATE_STYLES,
    print_json,
    print_reasons,
    print_table,
    stage_rows,
    stderr_console,
    stdout_console,
    styled,
    table_of,
)
from filmgate.cli.text import printable
from filmgate.core.errors import NotFound, UsageError
from filmgate.core.legacy import LegacyRun
from filmgate.core.manifest import Manifest
from filmgate.core.states import RunState, StageState
from filmgate.services.run_status import RunStatus, state_shown
from filmgate.services.runs import Runs
from filmgate.wiring import pipelines, settings
from filmgate.wiring.clock import parse_period

POLL_S = 0.5


def status(
    run: Annotated[
        str | None,
        typer.Argument(
            metavar="RUN",
            help="Asset id (its newest run), ASSET/RUN, run id, or folder. Default: list runs.",
            autocompletion=complete_runs,
        ),
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Update the display until the run ends.")
    ] = False,
    limit: Limit = 50,
    asset: Annotated[
        str | None,
        typer.Option(
            metavar="ASSET", help="List runs of this asset.", autocompletion=complete_assets
        ),
    ] = None,
    state: Annotated[
        str | None, typer.Option(metavar="STATE", help="List runs in this state, such as FAILED.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="List runs started since a date (UTC), or in the last 12h, 7d, 2w."
        ),
    ] = None,
    wide: Wide = False,
    as_json: AsJson = False,
) -> None:
    """Show the state of a run, read from its records; without a run, list runs.

    Runs are listed by start time, the newest first. Times are in UTC.
    """
    runs = Runs(settings.load())
    if run is None:
        _list(runs, limit, asset, state, since, is_wide=wide, as_json=as_json)
        return
    try:
        found = runs.status(run)
    except NotFound:
        legacy = runs.find_legacy_run(run)
        if legacy is None:
            raise
        _print_legacy(legacy, as_json=as_json)
        return
    if watch and not as_json and stdout_console().is_terminal:
        found = _watch(runs, found)
    else:
        while watch and found.is_at_work:
            time.sleep(POLL_S)
            found = runs.status(run)
        if as_json:
            print_json(found.manifest)
            return
        _print_status(found)
    print_reasons(found.manifest)


def _print_legacy(run: LegacyRun, *, as_json: bool) -> None:
    if as_json:
        print_json(run)
        return
    name = escape(printable(f"{run.asset_id} / {run.run_id or ''}"))
    stdout_console().print(f"{styled(run.status)} (legacy)  {name}\n")
    rows = [
        [escape(printable(name)), styled(stage.status), escape(printable(stage.derived_from))]
        for name, stage in run.stages.items()
    ]
    print_table(("stage", "state", "derived from"), rows)
    stdout_console().print("\nThe run has an older layout: its files were not verified.")


def _watch(runs: Runs, found: RunStatus) -> RunStatus:
    """Update the display of a run in place until it ends."""
    with Live(_view(found), console=stdout_console(), auto_refresh=False) as live:
        while found.is_at_work:
            time.sleep(POLL_S)
            found = runs.status(str(found.folder))
            live.update(_view(found), refresh=True)
    return found


def _head(found: RunStatus) -> str:
    manifest = found.manifest
    return f"{styled(state_shown(found))}  {manifest.asset.id} / {manifest.run_id}\n"


def _view(found: RunStatus) -> RenderableType:
    table = table_of(STAGE_HEADS, stage_rows(found.manifest, found.progress), right={"seconds"})
    return Group(Text.from_markup(_head(found)), table, *(Text(line) for line in _notes(found)))


def _print_status(found: RunStatus) -> None:
    stdout_console().print(_head(found))
    rows = stage_rows(found.manifest, found.progress)
    print_table(STAGE_HEADS, rows, right={"seconds"})
    for line in _notes(found):
        stdout_console().print(Text(line))


def _notes(found: RunStatus) -> list[str]:
    """Return lines about the folder, the seal and the problems of a run, with what to do."""
    manifest = found.manifest
    notes = [f"\nfiles      {found.folder}"]
    if found.seal is not None:
        since = f"{found.seal.sealed_at:%Y-%m-%d %H:%M:%S} UTC"
        notes.append(f"sealed     since {since}, published to {found.seal.to}")
    if found.is_suspect:
        notes.append(
            f"suspect    no heartbeat for {found.silence_s:.0f} s; the run may have stopped"
        )
    if found.has_died:
        notes.append(
            "The process of the run no longer exists. To resume the run, repeat the same command."
        )
    if manifest.status is RunState.INCOMPLETE and not found.has_died:
        pending = [n for n, e in manifest.stages.items() if e.status is StageState.PENDING]
        notes.append(
            f"The run is incomplete, so it is neither served nor published: {', '.join(pending)} "
            "did not run. To run them, repeat the same command without --stages."
        )
    return notes


def _list(
    runs: Runs,
    limit: int,
    asset: str | None,
    state: str | None,
    since: str | None,
    *,
    is_wide: bool,
    as_json: bool,
) -> None:
    wanted_state = _parse_state(state) if state is not None else None
    earliest = _parse_since(since) if since is not None else None
    found, faults = runs.recent(limit, asset=asset, state=wanted_state, since=earliest)
    legacy = []
    if earliest is None and wanted_state is None:
        legacy = [run for run in runs.legacy_runs() if asset in {None, run.asset_id}]
        legacy = legacy[: max(0, limit - len(found))]
    for fault in faults:
        stderr_console().print(f"[red]unreadable[/]  {escape(printable(fault))}")
    if as_json:
        rows = ",".join(each.manifest.model_dump_json(by_alias=True) for each in found)
        old = ",".join(run.model_dump_json() for run in legacy)
        typer.echo(f'{{"runs":[{rows}],"legacy":[{old}],"unreadable":{json.dumps(faults)}}}')
        return
    if not found and not legacy:
        is_filtered = any(each is not None for each in (asset, state, since))
        stderr_console().print(
            "No run matches."
            if is_filtered
            else f"No run exists yet. To start one: filmgate run {pipelines.first_example()}"
        )
        return
    _print_runs(found, legacy, is_wide=is_wide)


def _print_runs(found: list[RunStatus], legacy: list[LegacyRun], *, is_wide: bool) -> None:
    heads = ("state", "run", "asset")
    wide_heads = ("started (UTC)", "pipeline", "profile", "seconds")
    rows = []
    for each in found:
        manifest = each.manifest
        row = [styled(state_shown(each)), manifest.run_id]
        if is_wide:
            row += [
                f"{manifest.created_at:%Y-%m-%d %H:%M:%S}",
                manifest.pipeline,
                manifest.profile,
                _seconds_of(manifest),
            ]
        rows.append([*row, escape(printable(manifest.asset.id))])
    for run in legacy:
        row = [f"{styled(run.status)} (legacy)", escape(printable(run.run_id or ""))]
        filler = [""] * (len(wide_heads) if is_wide else 0)
        rows.append([*row, *filler, escape(printable(run.asset_id))])
    shown = (*heads[:-1], *wide_heads, heads[-1]) if is_wide else heads
    print_table(shown, rows, right={"seconds"})


def _seconds_of(manifest: Manifest) -> str:
    total = sum(entry.duration_s or 0.0 for entry in manifest.stages.values())
    return f"{total:.1f}"


def _parse_state(text: str) -> str:
    if text.upper() not in STATE_STYLES:
        raise UsageError(
            "the state is invalid", expected=f"one of {', '.join(STATE_STYLES)}", got=repr(text)
        )
    return text.upper()


def _parse_since(text: str) -> datetime:
    if (period := parse_period(text)) is not None:
        return datetime.now(UTC) - period
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(
            "the time is invalid", expected="2026-11-30, 12h, 7d or 2w, for example", got=repr(text)
        ) from error
    return parsed if parsed.tzinfo is not None else parsed.replace(tzinfo=UTC)
