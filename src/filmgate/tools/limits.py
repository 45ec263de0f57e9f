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


class Late(Exception):
    """The time is over."""


class _Watch:
    """The time that the item in work has."""

    def __init__(self) -> None:
        self.is_over = False


_watch = _Watch()


def check_time() -> None:
    """Raise Late where the time of the item in work is over: for loops around libraries that may
    swallow what is raised inside of them."""
    if _watch.is_over:
        raise Late


@contextmanager
def bounded(*, seconds: float, memory_bytes: int) -> Iterator[None]:
    """Do the block's work within limits; Invalid where it takes more.

    Memory is that of addresses beyond what the process has. In a process that only works on items
    the limits are hard: one that hangs inside a library ends, which the executor tells as the
    death of a worker. Elsewhere there are none: they would hit others, too. Once the time is over,
    `Late` is raised again and again, since a library may swallow it; however the block ends then,
    it was too slow.
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
        _watch.is_over = False
        signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            dog.cancel()
            if _watch.is_over:
                raise Invalid(
                    "it takes longer than an item may",
                    expected=f"at most {seconds:g} s",
                    got="more",
                    hint="It may be made to harm; else raise the limit: time_limit_s",
                    reason=TOO_SLOW,
                )
    except MemoryError as error:
        raise Invalid(
            "it takes more memory than an item may",
            expected=f"at most {memory_bytes >> 20:,} MiB",
            got="more",
            hint="It may be made to harm; else raise the limit: memory_limit_mb",
            reason=TOO_BIG,
        ) from error
    finally:
        _watch.is_over = False
        signal.signal(signal.SIGALRM, before)
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_AS, most)


def _is_worker() -> bool:
    """Whether this process was begun to work on items."""
    if multiprocessing.parent_process() is not None:
        return True
    ray = sys.modules.get("ray")
    return ray is not None and ray._private.worker.global_worker.mode == ray.WORKER_MODE


def _too_slow(_number: int, _frame: FrameType | None) -> None:
    _watch.is_over = True
    raise Late


def _addresses() -> int:
    """Bytes of addresses that the process has."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    except OSError:
        return 2 << 30
    return pages * os.sysconf("SC_PAGESIZE")
