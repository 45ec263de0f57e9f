"""Errors, grouped by what the user should do, with exit codes and HTTP statuses.

    FilmgateError                                      exit 1    HTTP 500
    ├── Invalid            correct the input           exit 4    HTTP 400
    │   ├── ContractBroken     a stage's output breaks its contract
    │   ├── TooLarge           the input is too large                 413
    │   ├── HeadersTooLarge    the request's header is too large      431
    │   ├── TooSlow            the input does not arrive in time      408
    │   ├── UnsupportedMedia   the media type is not supported        415
    │   └── RangeUnsatisfiable the range is outside the file          416
    ├── NotFound           name something that exists  exit 5    HTTP 404
    │   ├── SchemaNotFoundError
    │   └── StoreNotFound      the object store does not exist
    ├── Conflict           resolve the conflict        exit 6    HTTP 409
    │   └── Held               another runner holds the run
    ├── Unavailable        restore the service         exit 7    HTTP 503
    │   ├── Exhausted          disk space or file descriptors are used up
    │   │   └── DiskFull
    │   └── TooMany            send fewer requests                    429
    ├── NotPermitted       ask for permission          exit 8    HTTP 403
    │   └── Unauthenticated    authenticate                           401
    ├── UsageError         correct the command line    exit 2    HTTP 400
    └── Stopped            run the same command again  exit 130  HTTP 503

A signal raises `Interrupted`, outside the tree (exit 130). A closed gate
is a `Verdict` with reasons, not an error (exit 3). A failed stage ends a
run as `FAILED` (exit 1; exit 8 if its error is `not_permitted`). Only the
functions of `filmgate.ingest` raise errors for these two outcomes
(`services/passes.py`): `PassBlocked` and `PassFailed`.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from difflib import get_close_matches
from enum import IntEnum
from typing import Any, ClassVar

from filmgate.core.digest import JsonDict


class ExitCode(IntEnum):
    """Exit codes of the command line."""

    DONE = 0
    STAGE_FAILED = 1
    USAGE = 2
    BLOCKED = 3
    BAD_INPUT = 4
    NOT_FOUND = 5
    HELD = 6
    UNAVAILABLE = 7
    NOT_PERMITTED = 8
    INTERRUPTED = 130


HTTP_STATUS = {
    ExitCode.STAGE_FAILED: 500,
    ExitCode.USAGE: 400,
    ExitCode.BLOCKED: 409,
    ExitCode.BAD_INPUT: 400,
    ExitCode.NOT_FOUND: 404,
    ExitCode.HELD: 409,
    ExitCode.UNAVAILABLE: 503,
    ExitCode.NOT_PERMITTED: 403,
    ExitCode.INTERRUPTED: 503,
}
"""HTTP status for each exit code; error classes override it in `http_status_override`."""


class FilmgateError(Exception):
    """Base of all errors.

    `expected`: the correct value; `got`: the actual value; `hint`: what the user should do;
    `details`: more fields for machines.
    """

    code: ClassVar[str] = "error"
    exit_code: ClassVar[ExitCode] = ExitCode.STAGE_FAILED
    http_status_override: ClassVar[int | None] = None
    """HTTP status of the error class; None for the status of its exit code in `HTTP_STATUS`."""
    reason: ClassVar[str | None] = None
    """Detail `reason` of all errors of the class, for machines; None if it has none."""

    def __init__(
        self,
        message: str,
        *,
        expected: str | None = None,
        got: str | None = None,
        hint: str | None = None,
        **details: Any,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.expected = expected
        self.got = got
        self.hint = hint
        self.extra = details if self.reason is None else {"reason": self.reason, **details}

    def __str__(self) -> str:
        """Format one paragraph: the message, then `expected`, `got` and `hint`."""
        text = self.message
        facts = [f"expected {self.expected}"] if self.expected else []
        facts += [f"got {self.got}"] if self.got else []
        if facts:
            text += ": " + "; ".join(facts)
        if self.hint:
            text += f". {self.hint}"
        return text

    @property
    def http_status(self) -> int:
        """HTTP status of the error."""
        return self.http_status_override or HTTP_STATUS[self.exit_code]

    @property
    def details(self) -> JsonDict:
        """All fields of the error for machines, without those that are None."""
        facts = {"expected": self.expected, "got": self.got, "hint": self.hint, **self.extra}
        return {key: value for key, value in facts.items() if value is not None}


class Invalid(FilmgateError):
    """The input is invalid; correct it and try again."""

    code = "invalid"
    exit_code = ExitCode.BAD_INPUT


class ContractBroken(Invalid):
    """A stage's output breaks its declared contract."""

    code = "contract_broken"


class TooLarge(Invalid):
    """The input exceeds a size limit."""

    code = "too_large"
    http_status_override = 413


class HeadersTooLarge(Invalid):
    """The header fields of a request exceed a size limit."""

    code = "headers_too_large"
    http_status_override = 431


class TooSlow(Invalid):
    """The input did not arrive in time."""

    code = "too_slow"
    http_status_override = 408


class UnsupportedMedia(Invalid):
    """The media type is not supported."""

    code = "unsupported_media"
    http_status_override = 415


class RangeUnsatisfiable(Invalid):
    """The requested range is outside the file."""

    code = "range_unsatisfiable"
    http_status_override = 416


class NotFound(FilmgateError):
    """The named object does not exist."""

    code = "not_found"
    exit_code = ExitCode.NOT_FOUND


class SchemaNotFoundError(NotFound):
    """No payload contract is registered for the artifact type and version."""

    code = "schema_not_found"


class StoreNotFound(NotFound):
    """An object store itself, a bucket or folder, does not exist."""

    reason = "no_store"


class Conflict(FilmgateError):
    """The request conflicts with the existing state."""

    code = "conflict"
    exit_code = ExitCode.HELD


class Held(Conflict):
    """Another runner holds the lease of the run."""

    code = "held"


class Unavailable(FilmgateError):
    """A service, program or resource is unavailable."""

    code = "unavailable"
    exit_code = ExitCode.UNAVAILABLE


class Exhausted(Unavailable):
    """Disk space or file descriptors of this machine are used up."""


class DiskFull(Exhausted):
    """The disk is full."""


class TooMany(Unavailable):
    """Too many requests; the detail `retry_after_s` is the time to wait, in seconds."""

    code = "too_many"
    http_status_override = 429


class NotPermitted(FilmgateError):
    """The caller does not have the required permission."""

    code = "not_permitted"
    exit_code = ExitCode.NOT_PERMITTED


class Unauthenticated(NotPermitted):
    """Authentication is required."""

    code = "unauthenticated"
    http_status_override = 401


class UsageError(FilmgateError):
    """The command line is invalid."""

    code = "usage"
    exit_code = ExitCode.USAGE


class Stopped(FilmgateError):
    """A signal stopped the program; raised after clean-up."""

    code = "interrupted"
    exit_code = ExitCode.INTERRUPTED


class Interrupted(BaseException):
    """A signal requested the program to end. Like KeyboardInterrupt, it is not an `Exception`."""


def first_fault(error: ValueError) -> str:
    """Return the first fault that a parser found, in one line."""
    faults = getattr(error, "errors", None)
    if faults is None:
        return str(error).partition("\n")[0]
    fault = faults()[0]
    place = ".".join(str(part) for part in fault["loc"])
    return f"{place}: {fault['msg']}" if place else str(fault["msg"])


def json_pointer(error: ValueError) -> str | None:
    """Return the JSON pointer (RFC 6901) of the first fault; None if the text is not JSON."""
    faults = getattr(error, "errors", None)
    if faults is None or faults()[0]["type"] == "json_invalid":
        return None
    return "".join(f"/{pointer_part(str(part))}" for part in faults()[0]["loc"])


def pointer_part(name: str) -> str:
    """Escape a name for a JSON pointer (RFC 6901)."""
    return name.replace("~", "~0").replace("/", "~1")


def error_body(error: FilmgateError, at: datetime) -> JsonDict:
    """Build the error document of the command line (`--json`) and of HTTP responses."""
    return {
        "error": error.code,
        "message": str(error),
        "details": error.details,
        "timestamp": at.isoformat(),
    }


def unknown_name(what: str, name: str, known: Iterable[str]) -> UsageError:
    """Make the error for an unknown name; its hint suggests the most similar known names."""
    names = list(known)
    similar = similar_names(name, names)
    return UsageError(
        f"{what} {name!r} does not exist",
        expected=None if similar else f"one of {', '.join(names)}" if names else "none",
        hint=f"Did you mean {' or '.join(similar)}?" if similar else None,
    )


def similar_names(name: str, known: Sequence[str]) -> list[str]:
    """Return up to three known names that resemble a misspelled one, most similar first."""
    return get_close_matches(name, known, n=3, cutoff=0.6)
