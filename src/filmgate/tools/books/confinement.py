"""What a process for untrusted files does on its side: limits itself, and tells how it ended."""

import gc
import json
import os
import resource
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import IO, Any

from filmgate.core.errors import FilmgateError, Invalid, Unavailable

MAX_MEMORY_BYTES = 3 << 30
MAX_MEMORY_WITH_OCR_BYTES = 12 << 30
"""Of addresses, of which the libraries reserve far more than they use."""

MAX_CPU_S = 1800


def confine(work: Callable[[], None], memory_bytes: int = MAX_MEMORY_BYTES) -> None:
    """Do the work within limits; say `end`, or the `error` it ended with."""
    _limit(memory_bytes)
    _out()
    gc.disable()  # it lives for one file, and makes no circles to speak of
    try:
        work()
        say({"end": True})
    except MemoryError:
        say({"error": _error(Invalid("it takes more memory than a book may", got="a bomb?"))})
    except FilmgateError as error:
        say({"error": _error(error)})
    except ImportError as error:
        hint = "pip install 'filmgate[rulebook]', for --ocr 'filmgate[episode]'"
        missing = Unavailable("a package is not installed", got=f"no {error.name}", hint=hint)
        say({"error": _error(missing)})
    except Exception as error:  # noqa: BLE001 - whatever a library raises at a file is the file's
        told = f"{type(error).__name__}: {error}"[:500]
        say({"error": _error(Invalid("it cannot be read", expected="a whole file", got=told))})


def say(told: dict[str, Any]) -> None:
    """One document, on standard output."""
    _out().write(json.dumps(told, separators=(",", ":")).encode("ascii") + b"\n")


@cache
def _out() -> IO[bytes]:
    """Standard output, which is ours alone from now on: what libraries print goes nowhere."""
    ours = os.fdopen(os.dup(1), "wb", buffering=0)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    return ours


def _limit(memory_bytes: int) -> None:
    for kind, most in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_CPU, MAX_CPU_S),
        (resource.RLIMIT_CORE, 0),
    ):
        with suppress(ValueError, OSError):  # where the system has less, it is less
            resource.setrlimit(kind, (most, resource.getrlimit(kind)[1]))


def _error(error: FilmgateError) -> dict[str, Any]:
    return {
        "message": error.message,
        "expected": error.expected,
        "got": error.got,
        "hint": error.hint,
        "code": error.code,
    }
