"""Errors by what the reader should do about them, and the exit codes that go with them.

    FilmgateError                                      exit 1    HTTP 500
    ├── Invalid            mend the input              exit 4    HTTP 400
    │   ├── ContractBroken     a stage made what its contract forbids
    │   ├── TooLarge           more than is taken                     413
    │   ├── HeadersTooLarge    so are a request's header fields       431
    │   ├── TooSlow            it does not come                       408
    │   ├── UnsupportedMedia   it is of another kind                  415
    │   └── RangeUnsatisfiable no such part of a file                 416
    ├── NotFound           name something that exists  exit 5    HTTP 404
    │   └── SchemaNotFoundError
    ├── Conflict           someone else holds it       exit 6    HTTP 409
    │   └── Held               another runner works on the run
    ├── Unavailable        bring the service back      exit 7    HTTP 503
    │   └── TooMany            ask less often                         429
    ├── NotPermitted       ask who may                 exit 8    HTTP 403
    │   └── Unauthenticated    say who you are                        401
    ├── UsageError         mend the command line       exit 2    HTTP 400
    └── Stopped            run the same command again  exit 130  HTTP 503

A signal is `Interrupted`, outside the tree (exit 130). A closed gate is
no error: it is a `Verdict` with reasons (exit 3). A stage that failed ends
a run as `FAILED` (exit 1).
"""

from datetime import datetime
from enum import IntEnum
from typing import Any, ClassVar


class ExitCode(IntEnum):
    """What a command's end means to a script."""

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
"""What an end is called over HTTP; some errors have a closer word of their own."""


class FilmgateError(Exception):
    """The root. `expected`, `got` and `hint` say what was wanted, what came and what to do."""

    code: ClassVar[str] = "error"
    exit_code: ClassVar[ExitCode] = ExitCode.STAGE_FAILED
    closer_status: ClassVar[int | None] = None
    """The HTTP status, where there is a closer one than its exit code's."""

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
        self.extra = details

    def __str__(self) -> str:
        """One paragraph: the message, then what was expected, what came, and what to do."""
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
        """How HTTP calls it."""
        return self.closer_status or HTTP_STATUS[self.exit_code]

    @property
    def details(self) -> dict[str, Any]:
        """Everything a machine may want to know, without empty fields."""
        facts = {"expected": self.expected, "got": self.got, "hint": self.hint, **self.extra}
        return {key: value for key, value in facts.items() if value is not None}


class Invalid(FilmgateError):
    """The input breaks a rule; mend it and try again."""

    code = "invalid"
    exit_code = ExitCode.BAD_INPUT


class ContractBroken(Invalid):
    """A stage made something that its declared contract forbids."""

    code = "contract_broken"


class TooLarge(Invalid):
    """More came than is taken."""

    code = "too_large"
    closer_status = 413


class HeadersTooLarge(Invalid):
    """The header fields of a request exceed a limit."""

    code = "headers_too_large"
    closer_status = 431


class TooSlow(Invalid):
    """What was announced does not come."""

    code = "too_slow"
    closer_status = 408


class UnsupportedMedia(Invalid):
    """It came as another kind of thing than is taken."""

    code = "unsupported_media"
    closer_status = 415


class RangeUnsatisfiable(Invalid):
    """A file has no such part."""

    code = "range_unsatisfiable"
    closer_status = 416


class NotFound(FilmgateError):
    """Nothing goes by that name."""

    code = "not_found"
    exit_code = ExitCode.NOT_FOUND


class SchemaNotFoundError(NotFound):
    """No payload contract is registered under that type and version."""

    code = "schema_not_found"


class Conflict(FilmgateError):
    """The request collides with something that stands."""

    code = "conflict"
    exit_code = ExitCode.HELD


class Held(Conflict):
    """Another runner holds the run."""

    code = "held"


class Unavailable(FilmgateError):
    """A service, a program or a resource is away."""

    code = "unavailable"
    exit_code = ExitCode.UNAVAILABLE


class TooMany(Unavailable):
    """Too much is asked at once; `retry_after_s` says when to ask again."""

    code = "too_many"
    closer_status = 429


class NotPermitted(FilmgateError):
    """The caller may not do this."""

    code = "not_permitted"
    exit_code = ExitCode.NOT_PERMITTED


class Unauthenticated(NotPermitted):
    """Nobody knows who asks."""

    code = "unauthenticated"
    closer_status = 401


class UsageError(FilmgateError):
    """The command line is wrong."""

    code = "usage"
    exit_code = ExitCode.USAGE


class Stopped(FilmgateError):
    """How a signal is told, once everything is in order."""

    code = "interrupted"
    exit_code = ExitCode.INTERRUPTED


class Interrupted(BaseException):
    """A signal asks the program to end. Like KeyboardInterrupt, it is no error of the work."""


def first_fault(error: ValueError) -> str:
    """The first thing that a parser found wrong, in one line."""
    faults = getattr(error, "errors", None)
    if faults is None:
        return str(error).partition("\n")[0]
    fault = faults()[0]
    place = ".".join(str(part) for part in fault["loc"])
    return f"{place}: {fault['msg']}" if place else str(fault["msg"])


def json_pointer(error: ValueError) -> str | None:
    """Where in a JSON text a parser found the first fault (RFC 6901); None where it is no JSON."""
    faults = getattr(error, "errors", None)
    if faults is None or faults()[0]["type"] == "json_invalid":
        return None
    return "".join(f"/{pointer_part(str(part))}" for part in faults()[0]["loc"])


def pointer_part(name: str) -> str:
    """A name as it stands in a JSON pointer."""
    return name.replace("~", "~0").replace("/", "~1")


def error_body(error: FilmgateError, at: datetime) -> dict[str, Any]:
    """The one shape in which an error leaves the product, by command line or HTTP."""
    return {
        "error": error.code,
        "message": str(error),
        "details": error.details,
        "timestamp": at.isoformat(),
    }
