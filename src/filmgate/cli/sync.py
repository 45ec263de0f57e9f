"""`filmgate sync`: take in what others published."""

from typing import TYPE_CHECKING, Annotated

import typer

from filmgate.cli.output import AsJson

if TYPE_CHECKING:
    from filmgate.core.answers import SyncOutcome, SyncStatusAnswer
    from filmgate.core.errors import ExitCode, FilmgateError

app = typer.Typer(help="Take in runs that were published elsewhere, each exactly once.")


@app.callback(invoke_without_command=True)
def sync(
    context: typer.Context,
    source: Annotated[
        str | None,
        typer.Option(
            "--source",
            help="outbox, s3://bucket/prefix, a folder, or postgresql://… for the outbox of "
            "another database; else FILMGATE_SYNC_SOURCE.",
        ),
    ] = None,
    kind: Annotated[
        str,
        typer.Option(
            "--as",
            help="screenalytics: people, files and the run, for a product; archive: whole runs "
            "with all artifacts.",
        ),
    ] = "screenalytics",
    once: Annotated[
        bool, typer.Option("--once", help="Take in what there is, and end: the default.")
    ] = False,
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on with whatever comes, until Ctrl-C.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would come of it; write nothing.")
    ] = False,
    retry: Annotated[
        bool, typer.Option("--retry", help="Look again at what was refused before, too.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Take in runs that were published elsewhere, each exactly once."""
    if context.invoked_subcommand is not None:
        return
    from filmgate.app import logs, settings  # keeps --help quick
    from filmgate.app.sync import Sync
    from filmgate.cli.output import print_json, talk
    from filmgate.core.errors import ExitCode, Interrupted, UsageError

    if follow and (once or dry_run):
        raise UsageError(
            "--follow has no end",
            expected="--follow alone, or --once, or --dry-run",
            got="both",
        )
    logs.configure("WARNING")
    work = Sync(settings.load())
    if follow:
        talk().print("following; Ctrl-C ends it")
        heard = _print_line if as_json else _tell
        try:
            work.follow(source, kind, heard, _trouble, retry=retry)
        except (Interrupted, KeyboardInterrupt):
            return
    hear = (lambda _: None) if as_json else _tell
    answer = work.once(source, kind, hear, retry=retry, dry_run=dry_run)
    if as_json:
        print_json(answer)
    elif not answer.known and not dry_run:
        talk().print(f"no run was ever seen in {answer.source}")
    elif not answer.outcomes:
        talk().print(f"nothing new in {answer.source}")
    elif dry_run:
        talk().print("a dry run: nothing was written")
    code = _code(answer.outcomes)
    if code is not ExitCode.DONE:
        raise typer.Exit(code)


def _code(outcomes: "tuple[SyncOutcome, ...]") -> "ExitCode":
    from filmgate.core.errors import ExitCode

    refused = [each for each in outcomes if each.refusal is not None]
    if any(each.next_attempt_at is None for each in refused):
        return ExitCode.BAD_INPUT
    return ExitCode.UNAVAILABLE if refused else ExitCode.DONE


def _print_line(outcome: "SyncOutcome") -> None:
    typer.echo(outcome.model_dump_json())


def _tell(outcome: "SyncOutcome") -> None:
    from rich.text import Text

    from filmgate.cli.output import out, printable

    place = printable(f"{outcome.source}/{outcome.manifest_key}")
    if (receipt := outcome.receipt) is not None:
        how = ("had before", "dim") if receipt.is_replay else ("taken in", "green")
        counts = "" if receipt.is_replay else f"  {rows_told(receipt.counts)}"
        who = f"{receipt.asset_id} / {receipt.run_id}  from {receipt.producer}"
        is_silent = PEOPLE not in receipt.counts and not receipt.is_replay
        counts += ", no screen time in this run" if is_silent else ""
        out().print(Text.assemble((f"{how[0]:11}", how[1]), printable(who), counts))
    elif (refusal := outcome.refusal) is not None:
        out().print(Text.assemble(("refused    ", "bold red"), refusal.code, f"  {place}"))
        for word, fact in (
            ("", refusal.message),
            ("expected: ", refusal.expected),
            ("got:      ", refusal.got),
            ("do:       ", refusal.hint),
        ):
            if fact:
                out().print(Text(f"  {word}{printable(fact)}"))
        if outcome.next_attempt_at is not None:
            out().print(Text(f"  again at  {outcome.next_attempt_at:%H:%M:%S} UTC"))


PEOPLE = "screenalytics.person_metrics"


def rows_told(counts: "dict[str, int]") -> str:
    """Rows by table, in a few words."""
    told = (f"{count:,} {name.rpartition('.')[2]}" for name, count in counts.items())
    return ", ".join(told)


def _trouble(error: "FilmgateError", seconds: float) -> None:
    from filmgate.cli.output import printable, talk

    talk().print(f"{printable(str(error))} Again in {seconds:.0f} s.", markup=False)


@app.command("status")
def status(as_json: AsJson = False) -> None:
    """What was taken in from elsewhere, what is to come, and what was refused and why."""
    from filmgate.app import settings  # keeps --help quick
    from filmgate.app.sync import Sync
    from filmgate.cli.output import print_json

    answer = Sync(settings.load()).status()
    if as_json:
        print_json(answer)
    else:
        _show(answer)


def _show(answer: "SyncStatusAnswer") -> None:
    from filmgate.cli.output import columns, out, printable, talk

    if not answer.sources:
        talk().print("nothing came from elsewhere yet: `filmgate sync --source …`")
        return
    heads = ("as", "source", "there", "waiting", "again later", "refused", "last (UTC)", "next")
    table = columns(*heads, right=heads[2:-2])
    for each in answer.sources:
        numbers = (each.taken_in, each.waiting, each.retrying, each.refused)
        last = f"{each.last_at:%Y-%m-%d %H:%M:%S}" if each.last_at else ""
        again = f"{each.next_at:%H:%M:%S}" if each.next_at else ""
        counted = (f"{n:,}" for n in numbers)
        table.add_row(each.stage, printable(each.source), *counted, last, again)
    out().print(table)
    if answer.refusals:
        out().print("\nrefused, the latest")
        table = columns("code", "manifest", "why")
        for refused in answer.refusals:
            why = refused.error_details
            got = f": got {why.got}" if why.got else ""
            place = printable(f"{refused.source}/{refused.manifest_key}")
            table.add_row(why.code, place, printable(why.message + got))
        out().print(table)
