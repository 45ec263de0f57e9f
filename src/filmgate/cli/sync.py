"""`filmgate sync`: ingest runs that were published elsewhere."""

from contextlib import suppress
from typing import Annotated

import typer
from rich.markup import escape
from rich.text import Text

from filmgate.cli.arguments import AsJson, Wide
from filmgate.cli.lazy_group import command_group
from filmgate.cli.output import print_json, print_table, stderr_console, stdout_console
from filmgate.cli.text import examples, printable
from filmgate.core.answers import SyncOutcome, SyncStatusAnswer
from filmgate.core.errors import ExitCode, FilmgateError, Interrupted, UsageError
from filmgate.services.sync import Sync
from filmgate.wiring import logs, settings

app = command_group("Ingest runs that were published elsewhere.", needs_command=False)


@app.callback(invoke_without_command=True)
def sync(
    context: typer.Context,
    source: Annotated[
        str | None,
        typer.Option(
            "--source",
            metavar="PLACE",
            help="Source of runs: outbox, s3://bucket/prefix, a folder, or postgresql://… (the "
            "outbox of another database). Default: FILMGATE_SYNC_SOURCE.",
        ),
    ] = None,
    kind: Annotated[
        str,
        typer.Option(
            "--as",
            metavar="KIND",
            help="What to ingest: screenalytics (runs, files and screen times, in the tables of "
            "Screenalytics) or archive (runs with all artifacts).",
        ),
    ] = "screenalytics",
    once: Annotated[
        bool,
        typer.Option("--once", help="Ingest the runs published so far, then exit (the default)."),
    ] = False,
    follow: Annotated[
        bool, typer.Option("--follow", help="Also ingest later runs, until Ctrl-C.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be ingested; write nothing.")
    ] = False,
    retry: Annotated[
        bool, typer.Option("--retry", help="Retry manifests that were refused before.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Ingest runs that were published elsewhere, each exactly once."""
    if context.invoked_subcommand is not None:
        return
    if follow and (once or dry_run):
        raise UsageError(
            "--follow cannot be combined with --once or --dry-run",
            expected="--follow alone, or --once, or --dry-run",
            got=f"--follow and {'--once' if once else '--dry-run'}",
        )
    logs.configure("WARNING")
    if follow:
        _follow(source, kind, retry=retry, as_json=as_json)
    else:
        _run_once(source, kind, retry=retry, dry_run=dry_run, as_json=as_json)


def _follow(source: str | None, kind: str, *, retry: bool, as_json: bool) -> None:
    stderr_console().print("Waiting for runs. Press Ctrl-C to stop.")
    report = _print_line if as_json else _print_outcome
    with suppress(Interrupted, KeyboardInterrupt):
        Sync(settings.load()).follow(source, kind, report, _print_trouble, retry=retry)


def _run_once(source: str | None, kind: str, *, retry: bool, dry_run: bool, as_json: bool) -> None:
    report = (lambda _: None) if as_json else _print_outcome
    answer = Sync(settings.load()).run_once(source, kind, report, retry=retry, dry_run=dry_run)
    if as_json:
        print_json(answer)
    elif not answer.known and not dry_run:
        stderr_console().print(f"No run was found in {answer.source}.")
    elif not answer.outcomes:
        stderr_console().print(f"No new run was found in {answer.source}.")
    elif dry_run:
        stderr_console().print("Dry run: nothing was written.")
    code = _code(answer.outcomes)
    if code is not ExitCode.DONE:
        raise typer.Exit(code)


def _code(outcomes: tuple[SyncOutcome, ...]) -> ExitCode:
    refused = [each for each in outcomes if each.refusal is not None]
    if any(each.next_attempt_at is None for each in refused):
        return ExitCode.BAD_INPUT
    return ExitCode.UNAVAILABLE if refused else ExitCode.DONE


def _print_line(outcome: SyncOutcome) -> None:
    typer.echo(outcome.model_dump_json())


def _print_outcome(outcome: SyncOutcome) -> None:
    place = printable(f"{outcome.source}/{outcome.manifest_key}")
    if (receipt := outcome.receipt) is not None:
        how = ("unchanged", "dim") if receipt.is_replay else ("ingested", "green")
        counts = "" if receipt.is_replay else f"  {rows_text(receipt.counts)}"
        who = f"{receipt.asset_id} / {receipt.run_id}  from {receipt.producer}"
        is_silent = PEOPLE not in receipt.counts and not receipt.is_replay
        counts += ", no screen time in this run" if is_silent else ""
        stdout_console().print(Text.assemble((f"{how[0]:11}", how[1]), printable(who), counts))
    elif (refusal := outcome.refusal) is not None:
        stdout_console().print(
            Text.assemble(("refused    ", "bold red"), refusal.code, f"  {place}")
        )
        for word, fact in (
            ("", refusal.message),
            ("expected: ", refusal.expected),
            ("got:      ", refusal.got),
            ("hint:     ", refusal.hint),
        ):
            if fact:
                stdout_console().print(Text(f"  {word}{printable(fact)}"))
        if outcome.next_attempt_at is not None:
            stdout_console().print(Text(f"  retry at  {outcome.next_attempt_at:%H:%M:%S} UTC"))


PEOPLE = "screenalytics.person_metrics"


def rows_text(counts: dict[str, int]) -> str:
    """Return row counts by table as text."""
    return ", ".join(f"{count:,} {name.rpartition('.')[2]}" for name, count in counts.items())


def _print_trouble(error: FilmgateError, seconds: float) -> None:
    stderr_console().print(f"{printable(str(error))} Retrying in {seconds:.0f} s.", markup=False)


@app.command("status", epilog=examples("filmgate sync status", "filmgate sync status --wide"))
def status(wide: Wide = False, as_json: AsJson = False) -> None:
    """List sources with their ingested, waiting and refused runs."""
    answer = Sync(settings.load()).status()
    if as_json:
        print_json(answer)
    else:
        _print_status(answer, is_wide=wide)


def _print_status(answer: SyncStatusAnswer, *, is_wide: bool) -> None:
    if not answer.sources:
        stderr_console().print("No run was ingested yet. To start: filmgate sync --source PLACE")
        return
    counts = ("ingested", "waiting", "retrying", "refused")
    times = ("last (UTC)", "next (UTC)") if is_wide else ()
    rows = []
    for each in answer.sources:
        numbers = (each.taken_in, each.waiting, each.retrying, each.refused)
        row = [each.stage, *(f"{number:,}" for number in numbers)]
        if is_wide:
            row.append(f"{each.last_at:%Y-%m-%d %H:%M:%S}" if each.last_at else "")
            row.append(f"{each.next_at:%H:%M:%S}" if each.next_at else "")
        rows.append([*row, escape(printable(each.source))])
    print_table(("as", *counts, *times, "source"), rows, right=set(counts))
    if answer.refusals:
        stdout_console().print("\nRefused runs, the latest first:")
        refused = []
        for refusal in answer.refusals:
            why = refusal.error_details
            got = f": got {why.got}" if why.got else ""
            manifest = escape(printable(f"{refusal.source}/{refusal.manifest_key}"))
            refused.append([why.code, f"{manifest}: {escape(printable(why.message + got))}"])
        print_table(("code", "manifest and cause"), refused)
