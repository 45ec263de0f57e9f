"""`filmgate receipts`: the stored records of ingests."""

from filmgate.cli.arguments import AsJson, RunReference
from filmgate.cli.output import print_json, stdout_console
from filmgate.cli.text import printable
from filmgate.core.answers import ReceiptEntry, RefusalEntry
from filmgate.services.sync import Sync
from filmgate.wiring import settings


def receipts(run: RunReference, as_json: AsJson = False) -> None:
    """List the ingests of a run: time, source, digests and rows; or why an ingest was refused."""
    answer = Sync(settings.load()).receipts(run)
    if as_json:
        print_json(answer)
        return
    for receipt in answer.receipts:
        _print_receipt(receipt)
    for refusal in answer.refusals:
        _print_refusal(refusal)


def _print_receipt(receipt: ReceiptEntry) -> None:
    revision = "" if receipt.is_current else "  (an earlier revision)"
    run = f"{receipt.asset_id} / {receipt.run_id}  from {receipt.producer}"
    _print_line(f"{printable(run)}  {receipt.status}{revision}")
    _print_line(f"  {receipt.stage} at {receipt.received_at:%Y-%m-%d %H:%M:%S} UTC")
    _print_line(f"  manifest {printable(receipt.source)}/{printable(receipt.manifest_key)}")
    _print_line(f"           sha256 {receipt.manifest_sha256}, version {receipt.schema_version}")
    for table, count in receipt.counts.items():
        _print_line(f"  {count:>9,} rows in {table}")
    for path, sha256 in receipt.files.items():
        _print_line(f"  read {printable(path)}  sha256 {sha256}")
    stdout_console().print()


def _print_refusal(refusal: RefusalEntry) -> None:
    why = refusal.error_details
    manifest = f"{printable(refusal.source)}/{printable(refusal.manifest_key)}"
    _print_line(f"{manifest}  refused: {why.code}")
    _print_line(
        f"  {refusal.stage} at {refusal.ended_at:%Y-%m-%d %H:%M:%S} UTC, attempt {refusal.attempt}"
    )
    file = f"{why.artifact_key}{why.json_pointer or ''}" if why.artifact_key else why.json_pointer
    for word, fact in (
        ("", why.message),
        ("in:       ", file),
        ("expected: ", why.expected),
        ("got:      ", why.got),
        ("hint:     ", why.hint),
    ):
        if fact:
            _print_line(f"  {word}{printable(fact)}")


def _print_line(text: str) -> None:
    stdout_console().print(text, markup=False)
