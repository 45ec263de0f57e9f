"""`filmgate ingest`: take a run into the database."""

from functools import partial
from typing import Annotated

import typer

from filmgate.cli.output import AsJson


def ingest(
    run: Annotated[str, typer.Argument(help="A run's folder, asset/run, a run id, or an asset.")],
    as_json: AsJson = False,
) -> None:
    """Take a run into the database in one transaction; the same again changes nothing."""
    from filmgate.app import logs, settings  # keeps --help quick
    from filmgate.app.system import INGESTING, System
    from filmgate.cli.output import out, print_json
    from filmgate.cli.progress import stage_progress

    logs.configure("WARNING")
    with stage_progress(quiet=True) as progress:
        told = partial(progress.stage_progress, INGESTING)
        receipt = System(settings.load()).ingest(run, told)
    if as_json:
        print_json(receipt)
        return
    how = "was ingested before; nothing changed" if receipt.is_replay else "ingested"
    out().print(f"{receipt.asset_id} / {receipt.run_id}  {receipt.status}  {how}")
    for artifact_type, count in receipt.artifacts.items():
        out().print(f"  {count:,} {artifact_type}")
