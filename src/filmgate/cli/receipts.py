"""`filmgate receipts`: what was ingested when, from which bytes, into how many rows."""

from typing import TYPE_CHECKING, Annotated

import typer

from filmgate.cli.output import AsJson

if TYPE_CHECKING:
    from filmgate.core.answers import ReceiptEntry, RefusalEntry


def receipts(
    run: Annotated[str, typer.Argument(help="asset/run, a run id, an asset, or a run's folder.")],
    as_json: AsJson = False,
) -> None:
    """What was taken in of a run: when, from which bytes, into how many rows; or why not."""
    from filmgate.app import settings  # keeps --help quick
    from filmgate.app.sync import Sync
    from filmgate.cli.output import print_json

    answer = Sync(settings.load()).receipts(run)
    if as_json:
        print_json(answer)
        return
    for receipt in answer.receipts:
        _show(receipt)
    for refusal in answer.refusals:
        _show_refusal(refusal)


def _show(receipt: "ReceiptEntry") -> None:
    from filmgate.cli.output import out, printable

    past = "" if receipt.is_current else "  (of an earlier revision)"
    who = f"{receipt.asset_id} / {receipt.run_id}  from {receipt.producer}"
    _line(f"{printable(who)}  {receipt.status}{past}")
    _line(f"  {receipt.stage} at {receipt.received_at:%Y-%m-%d %H:%M:%S} UTC")
    _line(f"  manifest {printable(receipt.source)}/{printable(receipt.manifest_key)}")
    _line(f"           sha256 {receipt.manifest_sha256}, version {receipt.schema_version}")
    for table, count in receipt.counts.items():
        _line(f"  {count:>9,} rows in {table}")
    for path, sha256 in receipt.files.items():
        _line(f"  read {printable(path)}  sha256 {sha256}")
    out().print()


def _show_refusal(refusal: "RefusalEntry") -> None:
    from filmgate.cli.output import printable

    why = refusal.error_details
    _line(f"{printable(refusal.source)}/{printable(refusal.manifest_key)}  refused: {why.code}")
    _line(f"  {refusal.stage} at {refusal.ended_at:%Y-%m-%d %H:%M:%S} UTC, try {refusal.attempt}")
    file = f"{why.artifact_key}{why.json_pointer or ''}" if why.artifact_key else why.json_pointer
    for word, fact in (
        ("", why.message),
        ("in:       ", file),
        ("expected: ", why.expected),
        ("got:      ", why.got),
        ("do:       ", why.hint),
    ):
        if fact:
            _line(f"  {word}{printable(fact)}")


def _line(text: str) -> None:
    from filmgate.cli.output import out

    out().print(text, markup=False)
