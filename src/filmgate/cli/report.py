"""How a run stands, told to a person or a machine after `filmgate run`."""

from collections.abc import Mapping

from rich.markup import escape

from filmgate.app.run_options import RunReport
from filmgate.cli.output import out, print_json, print_reasons, printable, stage_table, styled, talk
from filmgate.core.manifest import Manifest
from filmgate.core.states import RunState


def print_report(report: RunReport, *, as_json: bool) -> None:
    """The manifest, or the table of its stages and where everything is."""
    for note in report.notes:
        talk().print(f"[yellow]note[/]  {escape(printable(note))}")
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
            _print_next_steps(manifest, report.receipt.artifacts)


def _print_next_steps(manifest: Manifest, ingested: Mapping[str, int]) -> None:
    """What there is to ask, where there is something."""
    asset_id = manifest.asset.id
    steps = []
    if ingested.get("scene", 0) > 1:
        steps.append(f"filmgate jump {asset_id} --kind scene")
    if ingested.get("transcript.segment", 0):
        steps.append(f"filmgate find {asset_id} WORDS")
    if ingested.get("screentime.segment", 0):
        steps.append(f"filmgate screentime {asset_id}")
    steps.append(f"filmgate verify {asset_id}")
    for heading, step in zip(["next", *[""] * len(steps)], steps, strict=False):
        out().print(f"{heading:11}{step}")
