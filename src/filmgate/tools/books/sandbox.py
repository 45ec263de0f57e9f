"""Functions for the inside of a sandboxed process: set limits, send results and errors."""

import gc
import json
import os
import resource
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from typing import IO

from filmgate.core.errors import FilmgateError, Invalid, Unavailable

MAX_MEMORY_BYTES = 3 << 30
MAX_MEMORY_WITH_OCR_BYTES = 12 << 30
"""Limits on the address space, of which the libraries reserve far more than they use."""

MAX_CPU_S = 1800


def run_sandboxed(work: Callable[[], None], memory_bytes: int = MAX_MEMORY_BYTES) -> None:
    """Do the work within limits; then send `end`, or `error` if an exception was raised."""
    _set_limits(memory_bytes)
    _message_stream()
    gc.disable()  # the process reads one file, with hardly any reference cycles
    try:
        work()
        send({"end": True})
    except MemoryError:
        send(
            {
                "error": _error_fields(
                    Invalid("the book exceeds the memory limit", got="perhaps a ZIP bomb")
                )
            }
        )
    except FilmgateError as error:
        send({"error": _error_fields(error)})
    except ImportError as error:
        hint = "pip install 'filmgate[rulebook]', for --ocr 'filmgate[episode]'"
        missing = Unavailable("a package is not installed", got=f"no {error.name}", hint=hint)
        send({"error": _error_fields(missing)})
    except Exception as error:  # noqa: BLE001 - libraries raise any exception for bad files
        got = f"{type(error).__name__}: {error}"[:500]
        unreadable = Invalid("the file cannot be read", expected="an intact file", got=got)
        send({"error": _error_fields(unreadable)})


def send(message: Mapping[str, object]) -> None:
    """Send one message, as a line of JSON on standard output."""
    _message_stream().write(json.dumps(message, separators=(",", ":")).encode("ascii") + b"\n")


@cache
def _message_stream() -> IO[bytes]:
    """Reserve standard output for messages, and discard what libraries print."""
    stream = os.fdopen(os.dup(1), "wb", buffering=0)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)
    return stream


def _set_limits(memory_bytes: int) -> None:
    for kind, limit in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_CPU, MAX_CPU_S),
        (resource.RLIMIT_CORE, 0),
    ):
        with suppress(ValueError, OSError):  # a lower limit of the system stays in force
            resource.setrlimit(kind, (limit, resource.getrlimit(kind)[1]))


def _error_fields(error: FilmgateError) -> dict[str, str | None]:
    return {
        "message": error.message,
        "expected": error.expected,
        "got": error.got,
        "hint": error.hint,
        "code": error.code,
    }
