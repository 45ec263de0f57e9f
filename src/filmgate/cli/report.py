"""How a run stands, told to a person or a machine after `filmgate run`."""

from rich.markup import escape

from filmgate.app.episode_run import RunReport
from filmgate.cli.output import out, print_json, print_reasons, stage_table, styled, talk
from filmgate.core.states import RunState


def print_report(report: RunReport, *, as_json: bool) -> None:
    """The manifest, or the table of its stages and where everything is."""
    if report.not_ingested:
        talk().print(f"[yellow]not ingested[/]: {escape(report.not_ingested)}")
    if as_json:
        print_json(report.manifest)
        return
    manifest = report.manifest
    console = out()
    console.print(f"\n{styled(manifest.status)}  {manifest.asset.id} / {manifest.run_id}\n")
    console.print(stage_table(manifest))
    print_reasons(manifest)
    console.print(f"\nfiles      {escape(str(report.folder))}")
    if report.receipt is not None:
        counts = ", ".join(f"{n:,} {name}" for name, n in report.receipt.artifacts.items())
        console.print(f"ingested   {counts or 'no artifacts'}")
        if manifest.status is RunState.SUCCESS:
            _print_next_steps(manifest.asset.id)


def _print_next_steps(asset_id: str) -> None:
    out().print(f"next       filmgate jump {asset_id} --kind scene")
    out().print(f"           filmgate find {asset_id} WORDS")
