"""Report that `filmgate run` prints: the state of the run, and the next steps."""

from collections.abc import Mapping

from rich.markup import escape

from filmgate.cli.output import (
    print_json,
    print_reasons,
    print_stages,
    stderr_console,
    stdout_console,
    styled,
)
from filmgate.cli.text import counted, printable
from filmgate.core.digest import JsonDict
from filmgate.core.manifest import Manifest
from filmgate.core.pipeline import NextSteps
from filmgate.core.states import RunState
from filmgate.services.run_options import RunReport


def print_report(report: RunReport, *, as_json: bool) -> None:
    """Print the manifest as JSON, or a report of stages, folder, ingested rows and next steps."""
    for note in report.notes:
        stderr_console().print(f"[yellow]note[/]  {escape(printable(note))}")
    if as_json:
        print_json(report.manifest)
        return
    manifest = report.manifest
    console = stdout_console()
    console.print(f"\n{styled(manifest.status)}  {manifest.asset.id} / {manifest.run_id}\n")
    print_stages(manifest)
    print_reasons(manifest)
    _print_refused(manifest)
    console.print(f"\nfiles      {escape(str(report.folder))}")
    if report.ingested is not None:
        counts = ", ".join(counted(count, name) for name, count in report.ingested.items())
        console.print(f"ingested   {counts or 'no artifacts'}")
    _print_next_steps(report)


MAX_REFUSED = 20
FAILURES = "failures"
"""Name of the stage metric that counts failed items by kind."""


def _print_refused(manifest: Manifest) -> None:
    """Print refused items with their reasons, or by kind if the stage counts failures by kind."""
    bad = []
    shown: set[str] = set()
    for name, entry in manifest.stages.items():
        kinds = entry.metrics.get(FAILURES)
        if isinstance(kinds, dict):
            shown |= _print_kinds(name, {code: kinds[code] for code in kinds if code not in shown})
        else:
            bad += [(name, each) for each in entry.item_errors]
    for stage, each in bad[:MAX_REFUSED]:
        reason = escape(printable(f"{each.item}: {each.message}"))
        stdout_console().print(f"\n[bold yellow]refused[/] by {stage}  {reason}", soft_wrap=True)
    if len(bad) > MAX_REFUSED:
        stdout_console().print(f"… and {len(bad) - MAX_REFUSED} more: see `filmgate logs`")


def _print_kinds(stage: str, kinds: Mapping[str, JsonDict]) -> set[str]:
    """Print how many items failed by kind, the most frequent first, each with an example."""
    by_count = sorted(kinds.items(), key=lambda item: (-int(item[1]["count"]), item[0]))
    for code, seen in by_count:
        example = f"{seen['example']}: {seen['message']}"
        stdout_console().print(
            f"\n[bold yellow]{seen['count']} × {escape(printable(code))}[/] in {stage}, such as  "
            f"{escape(printable(example))}",
            soft_wrap=True,
        )
    return set(kinds)


def _print_next_steps(report: RunReport) -> None:
    """Print command lines that use the results."""
    manifest = report.manifest
    ingested = report.ingested if manifest.status is RunState.SUCCESS else None
    known = NextSteps(manifest=manifest, folder=report.folder, ingested=ingested)
    steps = list(report.next_steps(known))
    if ingested is not None:
        steps.append(f"filmgate verify {manifest.asset.id}")
    for heading, step in zip(["next", *[""] * len(steps)], steps, strict=False):
        stdout_console().print(f"{heading:11}{escape(step)}", soft_wrap=True)
