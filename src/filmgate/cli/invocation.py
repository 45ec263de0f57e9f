"""One invocation of the command line: run the command, print its error, return its exit code."""

import json
import re
import sys
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime

import typer
from typer._click.exceptions import ClickException, NoArgsIsHelpError, NoSuchOption

from filmgate.cli.commands import root
from filmgate.cli.completion import asset_ids
from filmgate.cli.text import printable
from filmgate.core.errors import (
    ExitCode,
    FilmgateError,
    Interrupted,
    NotFound,
    Stopped,
    UsageError,
    error_body,
    similar_names,
)
from filmgate.core.os_errors import error_from_os
from filmgate.wiring.notices import show_notices, show_warnings
from filmgate.wiring.signals import install_signal_handlers


def call(arguments: Sequence[str], *, handles_signals: bool = False) -> int:
    """Run one command and return its exit code.

    Errors are printed on stderr, or with --json on stdout. If `handles_signals`, SIGINT and SIGTERM
    interrupt the command, which then shuts down cleanly.
    """
    if handles_signals:
        install_signal_handlers()
    if sys.stderr is not None and sys.stderr.isatty():
        show_notices(lambda message: print(message, file=sys.stderr))  # noqa: T201
    show_warnings(lambda message: print(f"warning: {printable(message)}", file=sys.stderr))  # noqa: T201
    try:
        return _run(arguments)
    except (Exception, Interrupted) as raised:  # noqa: BLE001 - every error has an exit code
        error = _translate(raised, arguments)
    _print_error(error, as_json="--json" in arguments)
    return error.exit_code


def _run(arguments: Sequence[str]) -> int:
    try:
        code = root().main(args=list(arguments), prog_name="filmgate", standalone_mode=False)
    except NoArgsIsHelpError as error:
        error.show()
        return ExitCode.USAGE
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    return int(code) if isinstance(code, int) else ExitCode.DONE


def _translate(raised: BaseException, arguments: Sequence[str]) -> FilmgateError:
    """Translate an exception that a command raised to a FilmgateError."""
    match raised:
        case NotFound():
            return _with_similar_asset(raised, arguments)
        case FilmgateError():
            return raised
        case ClickException():
            return _translate_click_error(raised)
        case Interrupted() | typer.Abort():
            return Stopped("interrupted", hint="To resume, run the same command again")
        case OSError():
            return error_from_os(raised)
    traceback.print_exception(raised)
    return FilmgateError(
        f"{type(raised).__name__}: {raised}", hint="This is a bug in Filmgate; report the traceback"
    )


_INVALID_CHOICE = re.compile(
    r"Invalid value for '(.*?)': (?:Value error, )?'(.*)' is not one of (.*)"
)


def _translate_click_error(error: ClickException) -> UsageError:
    """Translate an error of the command line parser; suggest a similar option or value."""
    command = getattr(getattr(error, "ctx", None), "command_path", "filmgate")
    hint = f"See: {command} --help"
    if isinstance(error, NoSuchOption):
        message = f"option {error.option_name} does not exist"
        return UsageError(message, hint=_suggestion(error.possibilities or []) or hint)
    message = " ".join(error.format_message().split()).rstrip(".")
    found = _INVALID_CHOICE.fullmatch(message)
    if found is not None:
        names = re.findall(r"'([^']*)'", found[3])
        return UsageError(
            f"the value of {found[1]} is invalid",
            expected=f"one of {', '.join(names)}",
            got=repr(found[2]),
            hint=_suggestion(similar_names(found[2], names)) or hint,
        )
    return UsageError(f"{message[:1].lower()}{message[1:]}", hint=hint)


def _suggestion(similar: Sequence[str]) -> str | None:
    return f"Did you mean {' or '.join(similar)}?" if similar else None


def _with_similar_asset(error: NotFound, arguments: Sequence[str]) -> NotFound:
    """Add a hint with similar asset ids if an argument is an unknown asset id."""
    known = asset_ids()
    for argument in arguments[1:]:
        is_named = argument in error.message and argument not in known
        if is_named and not argument.startswith("-"):
            similar = similar_names(argument, known)
            if similar:
                error.hint = _suggestion(similar)
                break
    return error


def _print_error(error: FilmgateError, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(error_body(error, datetime.now(UTC)), ensure_ascii=True))  # noqa: T201
        return
    print(f"filmgate: {printable(error.message)}", file=sys.stderr)  # noqa: T201
    for word, fact in (("expected", error.expected), ("got", error.got), ("hint", error.hint)):
        if fact:
            print(f"  {word + ':':10}{printable(fact)}", file=sys.stderr)  # noqa: T201
