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
    _print_refused(manifest)
    console.print(f"\nfiles      {escape(str(report.folder))}")
    if report.receipt is not None:
        told = dict(report.receipt.artifacts) | _of_the_corpus(report.receipt.counts)
        counts = ", ".join(f"{n:,} {name}" for name, n in told.items())
        console.print(f"ingested   {counts or 'no artifacts'}")
        if manifest.status is RunState.SUCCESS:
            _print_next_steps(manifest, told)


CORPUS = "corpus."
MAX_REFUSED = 20


def _of_the_corpus(counts: Mapping[str, int]) -> dict[str, int]:
    """What came into the corpus, by what it is."""
    return {
        name.removeprefix(CORPUS): count
        for name, count in counts.items()
        if name.startswith(CORPUS) and (count or name.count(" ") == 0)
    }


def _print_refused(manifest: Manifest) -> None:
    """Items that a stage left out, and why."""
    bad = [(name, each) for name, entry in manifest.stages.items() for each in entry.item_errors]
    for stage, each in bad[:MAX_REFUSED]:
        told = escape(printable(f"{each.item}: {each.message}"))
        out().print(f"\n[bold yellow]refused[/] by {stage}  {told}", soft_wrap=True)
    if len(bad) > MAX_REFUSED:
        out().print(f"… and {len(bad) - MAX_REFUSED} more: `filmgate logs` tells of all")


def _print_next_steps(manifest: Manifest, ingested: Mapping[str, int]) -> None:
    """What there is to ask, where there is something."""
    asset_id = manifest.asset.id
    steps = []
    if ingested.get("chunks", 0):
        steps.append(f'filmgate ask "YOUR QUESTION" --env {manifest.env}')
    if ingested.get("scene", 0) > 1:
        steps.append(f"filmgate jump {asset_id} --kind scene")
    if ingested.get("transcript.segment", 0):
        steps.append(f"filmgate find {asset_id} WORDS")
    if ingested.get("screentime.segment", 0):
        steps.append(f"filmgate screentime {asset_id}")
    steps.append(f"filmgate verify {asset_id}")
    for heading, step in zip(["next", *[""] * len(steps)], steps, strict=False):
        out().print(f"{heading:11}{step}")
