"""Report that `filmgate run` prints: the state of the run, and the next steps."""

from collections.abc import Mapping
from typing import Any

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
from filmgate.core.manifest import Manifest
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
    if report.receipt is not None:
        ingested = dict(report.receipt.artifacts) | _corpus_counts(report.receipt.counts)
        counts = ", ".join(counted(count, name) for name, count in ingested.items())
        console.print(f"ingested   {counts or 'no artifacts'}")
        if manifest.status is RunState.SUCCESS:
            _print_next_steps(manifest, ingested)
    table = manifest.first_file_with_schema(QUALITY)
    if table is not None:
        place = escape(str(report.folder / table.path))
        bucket = escape(str(manifest.config.get("manifest", {}).get("manifest_bucket", "")))
        line = f"filmgate gameplay report {place} --manifest-bucket {bucket}"
        console.print(f"{'report':11}{line}", soft_wrap=True)


CORPUS = "corpus."
MAX_REFUSED = 20
QUALITY = "gameplay.quality"
"""The schema of a quality manifest."""
FAILURES = "failures"
"""Name of the stage metric that counts failed items by kind."""


def _corpus_counts(counts: Mapping[str, int]) -> dict[str, int]:
    """Return the number of rows that were written to the corpus, by kind."""
    return {
        name.removeprefix(CORPUS): count
        for name, count in counts.items()
        if name.startswith(CORPUS) and (count or name.count(" ") == 0)
    }


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


def _print_kinds(stage: str, kinds: Mapping[str, Mapping[str, Any]]) -> set[str]:
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


def _print_next_steps(manifest: Manifest, ingested: Mapping[str, int]) -> None:
    """Print commands that query the results."""
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
        stdout_console().print(f"{heading:11}{step}")
