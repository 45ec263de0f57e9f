"""Limits for work on items that are not to be trusted: so much time, so much memory."""

import multiprocessing
import os
import resource
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from filmgate.core.errors import Invalid

GRACE_S = 30
"""How much longer a library may stay inside one call before its process ends."""

TOO_SLOW, TOO_BIG = "too_slow", "too_big"


class _LateError(BaseException):
    """The time is over: whatever handles errors of the item on the way lets this through."""


@contextmanager
def bounded(*, seconds: float, memory_bytes: int) -> Iterator[None]:
    """Do the block's work within limits; Invalid where it takes more.

    Memory is that of addresses beyond what the process has. In a process that only works on items
    the limits are hard: one that hangs inside a library ends, which the executor tells as the
    death of a worker. Elsewhere there are none: they would hit others, too.
    """
    if not _is_worker() or threading.current_thread() is not threading.main_thread():
        yield
        return
    most = resource.getrlimit(resource.RLIMIT_AS)
    before = signal.signal(signal.SIGALRM, _too_slow)
    dog = threading.Timer(seconds + GRACE_S, os._exit, (1,))
    dog.daemon = True
    dog.start()
    try:
        with suppress(ValueError, OSError):  # where the system has less, it is less
            resource.setrlimit(resource.RLIMIT_AS, (_addresses() + memory_bytes, most[1]))
        signal.setitimer(signal.ITIMER_REAL, seconds)
        yield
    except _LateError as error:
        raise Invalid(
            "it takes longer than an item may",
            expected=f"at most {seconds:g} s",
            got="more",
            hint="It may be made to harm; else raise the limit: time_limit_s",
            reason=TOO_SLOW,
        ) from error
    except MemoryError as error:
        raise Invalid(
            "it takes more memory than an item may",
            expected=f"at most {memory_bytes >> 20:,} MiB",
            got="more",
            hint="It may be made to harm; else raise the limit: memory_limit_mb",
            reason=TOO_BIG,
        ) from error
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        dog.cancel()
        signal.signal(signal.SIGALRM, before)
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_AS, most)


def _is_worker() -> bool:
    """Whether this process was begun to work on items."""
    return multiprocessing.parent_process() is not None or "ray._private.workers" in sys.modules


def _too_slow(_number: int, _frame: FrameType | None) -> None:
    raise _LateError


def _addresses() -> int:
    """Bytes of addresses that the process has."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    except OSError:
        return 2 << 30
    return pages * os.sysconf("SC_PAGESIZE")
