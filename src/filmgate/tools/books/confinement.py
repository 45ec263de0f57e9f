"""What a process for untrusted files does on its side: limits itself, and tells how it ended."""

import gc
import json
import resource
import sys
import zlib
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from filmgate.core.errors import FilmgateError, Invalid

MAX_MEMORY_BYTES = 3 << 30
MAX_MEMORY_WITH_OCR_BYTES = 12 << 30
"""Of addresses, of which the libraries reserve far more than they use."""

MAX_CPU_S = 1800

FOREIGN = (ValueError, OSError, RuntimeError, RecursionError, LookupError, zlib.error)
"""What the libraries raise at files that they do not expect."""


def confine(work: Callable[[], None], memory_bytes: int = MAX_MEMORY_BYTES) -> None:
    """Do the work within limits; say `end`, or the `error` it ended with."""
    _limit(memory_bytes)
    gc.disable()  # it lives for one file, and makes no circles to speak of
    try:
        work()
        say({"end": True})
    except MemoryError:
        say({"error": _error(Invalid("it takes more memory than a book may", got="a bomb?"))})
    except FilmgateError as error:
        say({"error": _error(error)})
    except FOREIGN as error:
        told = f"{type(error).__name__}: {error}"[:500]
        say({"error": _error(Invalid("it cannot be read", expected="a whole file", got=told))})


def say(told: dict[str, Any]) -> None:
    """One document, on standard output."""
    sys.stdout.write(json.dumps(told, separators=(",", ":")) + "\n")
    sys.stdout.flush()


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
