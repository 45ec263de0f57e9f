"""`filmgate`: the commands, and how an error becomes a message and an exit code."""

import errno
import json
import sys
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime

import typer

from filmgate.app.interruption import heed_signals
from filmgate.app.pipelines import BUILT_IN, names
from filmgate.cli import (
    adopt,
    artifacts,
    ask,
    db,
    demo,
    find,
    gameplay,
    ingest,
    jump,
    logs,
    manifest,
    models,
    people,
    plan,
    publish,
    receipts,
    run,
    screentime,
    select,
    serve,
    status,
    sync,
    tokens,
    verify,
    worker,
)
from filmgate.cli.output import printable
from filmgate.core.errors import (
    ExitCode,
    FilmgateError,
    Interrupted,
    Invalid,
    NotPermitted,
    Stopped,
    Unavailable,
    UsageError,
    error_body,
)

app = typer.Typer(
    name="filmgate",
    help="Media pipelines behind hard gates: trust, find and hand on what your models made.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(run.app, name="run")
app.add_typer(plan.app, name="plan")
app.command("status")(status.status)
app.command("verify")(verify.verify)
app.command("adopt")(adopt.adopt)
app.command("logs")(logs.logs)
app.add_typer(manifest.app, name="manifest")
app.command("ingest")(ingest.ingest)
app.command("publish")(publish.publish)
app.add_typer(sync.app, name="sync")
app.command("receipts")(receipts.receipts)
app.command("find", context_settings={"ignore_unknown_options": True})(find.find)
app.command("search", context_settings={"ignore_unknown_options": True})(find.search)
app.command("ask")(ask.ask)
app.command("jump")(jump.jump)
app.command("screentime")(screentime.screentime)
app.command("artifacts")(artifacts.artifacts)
app.command("provenance")(artifacts.provenance)
app.command("profiles")(select.profiles)
app.command("select")(select.select)
app.command("demo")(demo.demo)
app.add_typer(db.app, name="db")
app.add_typer(models.app, name="models")
app.add_typer(people.app, name="people")
app.add_typer(gameplay.app, name="gameplay")
app.command("serve")(serve.serve)
app.command("worker")(worker.worker)
app.add_typer(tokens.app, name="tokens")


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
    heed_signals()
    sys.exit(call(sys.argv[1:]))


def call(arguments: Sequence[str]) -> int:
    """Run one command; its exit code. Errors are told on stderr, or with --json on stdout."""
    as_json = "--json" in arguments
    try:
        add_pipelines(arguments)
        app(args=list(arguments))
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        if as_json and code == ExitCode.USAGE:
            _tell(UsageError("the command line is wrong", hint="See standard error"), as_json=True)
        return code
    except FilmgateError as error:
        _tell(error, as_json=as_json)
        return error.exit_code
    except Interrupted:
        _tell(Stopped("interrupted", hint="The same command resumes"), as_json=as_json)
        return ExitCode.INTERRUPTED
    except OSError as error:
        told = _of_the_system(error)
        _tell(told, as_json=as_json)
        return told.exit_code
    except Exception as error:  # noqa: BLE001 - a fault of ours, told in full
        traceback.print_exc()
        told = FilmgateError(f"{type(error).__name__}: {error}", hint="This is a fault of Filmgate")
        _tell(told, as_json=as_json)
        return told.exit_code
    return ExitCode.DONE


def add_pipelines(arguments: Sequence[str]) -> None:
    """Make a command of every pipeline, those of other packages only where one may be meant."""
    is_built_in = len(arguments) > 1 and arguments[1] in BUILT_IN
    if not arguments or arguments[0] not in {"run", "plan"}:
        return
    for name in BUILT_IN if is_built_in else names():
        if name not in {command.name for command in run.app.registered_commands}:
            run.add_pipeline(name)
            plan.add_pipeline(name)


def _of_the_system(error: OSError) -> FilmgateError:
    """What the operating system refused, in the product's words."""
    what = str(error.filename or "the system")
    said = error.strerror or str(error)
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return NotPermitted(
            f"{what} may not be written", got=said, hint="Choose a FILMGATE_HOME of your own"
        )
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return Unavailable(
            "the disk is full",
            expected=f"room to write {error.filename or 'what the run makes'}",
            got=said,
            hint="Free some space; then run it again",
        )
    return Invalid(f"{what} cannot be used", got=said, hint="Check the path and FILMGATE_HOME")


def _tell(error: FilmgateError, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(error_body(error, datetime.now(UTC)), ensure_ascii=True))  # noqa: T201
        return
    print(f"filmgate: {printable(error.message)}", file=sys.stderr)  # noqa: T201
    for word, fact in (("expected", error.expected), ("got", error.got), ("do", error.hint)):
        if fact:
            print(f"  {word + ':':10}{printable(fact)}", file=sys.stderr)  # noqa: T201
