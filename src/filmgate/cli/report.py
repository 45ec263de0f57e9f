"""How a run stands, told to a person or a machine after `filmgate run`."""

from collections.abc import Mapping
from typing import Any

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
    table = manifest.the_file_of(QUALITY)
    if table is not None:
        place = escape(str(report.folder / table.path))
        bucket = escape(str(manifest.config.get("manifest", {}).get("manifest_bucket", "")))
        line = f"filmgate gameplay report {place} --manifest-bucket {bucket}"
        console.print(f"{'look':11}{line}", soft_wrap=True)


CORPUS = "corpus."
MAX_REFUSED = 20
QUALITY = "gameplay.quality"
"""The schema of a quality manifest."""
FAILURES = "failures"
"""The metric of a stage that counts what failed by kind."""


def _of_the_corpus(counts: Mapping[str, int]) -> dict[str, int]:
    """What came into the corpus, by what it is."""
    return {
        name.removeprefix(CORPUS): count
        for name, count in counts.items()
        if name.startswith(CORPUS) and (count or name.count(" ") == 0)
    }


def _print_refused(manifest: Manifest) -> None:
    """Items that a stage left out, and why: by kind where it says how many of each."""
    bad = []
    told: set[str] = set()
    for name, entry in manifest.stages.items():
        kinds = entry.metrics.get(FAILURES)
        if isinstance(kinds, dict):
            told |= _print_kinds(name, {code: kinds[code] for code in kinds if code not in told})
        else:
            bad += [(name, each) for each in entry.item_errors]
    for stage, each in bad[:MAX_REFUSED]:
        reason = escape(printable(f"{each.item}: {each.message}"))
        out().print(f"\n[bold yellow]refused[/] by {stage}  {reason}", soft_wrap=True)
    if len(bad) > MAX_REFUSED:
        out().print(f"… and {len(bad) - MAX_REFUSED} more: `filmgate logs` tells of all")


def _print_kinds(stage: str, kinds: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """How many items failed in which way, the most frequent first, each with an example."""
    by_count = sorted(kinds.items(), key=lambda each: (-int(each[1]["count"]), each[0]))
    for code, seen in by_count:
        example = f"{seen['example']}: {seen['message']}"
        out().print(
            f"\n[bold yellow]{seen['count']} × {escape(printable(code))}[/] in {stage}, such as  "
            f"{escape(printable(example))}",
            soft_wrap=True,
        )
    return set(kinds)


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
