"""`filmgate ingest`: write a finished run to the database."""

from functools import partial

from filmgate.cli.arguments import AsJson, RunReference
from filmgate.cli.output import print_json, stdout_console
from filmgate.cli.progress import stage_progress
from filmgate.services.runs import INGESTING, Runs
from filmgate.wiring import logs, settings


def ingest(run: RunReference, as_json: AsJson = False) -> None:
    """Ingest a run into the database. A repeated ingest changes nothing."""
    logs.configure("WARNING")
    with stage_progress(quiet=True) as progress:
        report = partial(progress.stage_progress, INGESTING)
        receipt = Runs(settings.load()).ingest(run, report)
    if as_json:
        print_json(receipt)
        return
    result = "was ingested before; nothing changed" if receipt.is_replay else "ingested"
    stdout_console().print(f"{receipt.asset_id} / {receipt.run_id}  {receipt.status}  {result}")
    for artifact_type, count in receipt.artifacts.items():
        stdout_console().print(f"  {count:,} {artifact_type}")
