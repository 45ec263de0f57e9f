"""`filmgate`: the commands, and how an error becomes a message and an exit code."""

import json
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from types import FrameType

import typer

from filmgate.cli import db, demo, find, ingest, jump, logs, manifest, run, status, verify
from filmgate.core.errors import ExitCode, FilmgateError, Interrupted, error_body

app = typer.Typer(
    name="filmgate",
    help="Media pipelines behind hard gates: trust, find and hand on what your models made.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
app.add_typer(run.app, name="run")
app.command("status")(status.status)
app.command("verify")(verify.verify)
app.command("logs")(logs.logs)
app.add_typer(manifest.app, name="manifest")
app.command("ingest")(ingest.ingest)
app.command("find")(find.find)
app.command("jump")(jump.jump)
app.command("demo")(demo.demo)
app.add_typer(db.app, name="db")


@app.callback(invoke_without_command=True)
def options(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", help="Print the version and stop."),
) -> None:
    """Media pipelines behind hard gates: trust, find and hand on what your models made."""
    if version:
        from importlib import metadata  # only when asked

        typer.echo(f"filmgate {metadata.version('filmgate')}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def main() -> None:
    """The entry point of the console script."""
    for asked in (signal.SIGINT, signal.SIGTERM):
        signal.signal(asked, _interrupt)
    sys.exit(call(sys.argv[1:]))


def call(arguments: Sequence[str]) -> int:
    """Run one command; its exit code. Errors are told on stderr, or with --json on stdout."""
    try:
        app(args=list(arguments))
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else ExitCode.DONE
    except FilmgateError as error:
        _tell(error, as_json="--json" in arguments)
        return error.exit_code
    except Interrupted:
        print("interrupted; the same command resumes", file=sys.stderr)  # noqa: T201
        return ExitCode.INTERRUPTED
    return ExitCode.DONE


def _tell(error: FilmgateError, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(error_body(error, datetime.now(UTC)), ensure_ascii=False))  # noqa: T201
        return
    print(f"filmgate: {error.message}", file=sys.stderr)  # noqa: T201
    for word, fact in (("expected", error.expected), ("got", error.got), ("do", error.hint)):
        if fact:
            print(f"  {word + ':':10}{fact}", file=sys.stderr)  # noqa: T201


def _interrupt(number: int, _frame: FrameType | None) -> None:
    raise Interrupted(f"signal {number}")
