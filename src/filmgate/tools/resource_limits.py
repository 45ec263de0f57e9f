"""Limits on time and memory for work on untrusted items."""

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
"""Seconds from the time limit until a process whose library call does not return is ended."""

TOO_SLOW, TOO_BIG = "too_slow", "too_big"


class DeadlineExceeded(Exception):
    """The time limit of the current item has passed."""


class _Deadline:
    """Whether the time limit of the current item has passed."""

    def __init__(self) -> None:
        self.has_passed = False


_deadline = _Deadline()


def check_deadline() -> None:
    """Raise DeadlineExceeded if the time limit of the current item has passed.

    Call it in loops around libraries that may swallow exceptions raised inside them.
    """
    if _deadline.has_passed:
        raise DeadlineExceeded


@contextmanager
def limit_resources(*, seconds: float, memory_bytes: int) -> Iterator[None]:
    """Run a block within limits on time and memory; raise Invalid if it exceeds one.

    `memory_bytes` limits the address space added to what the process already uses. The limits only
    apply in the main thread of a worker process that does nothing but work on items; elsewhere they
    would affect other work. A worker that hangs inside a library exits after `GRACE_S`, which the
    executor reports as the death of a worker. After the time limit, DeadlineExceeded is raised
    every second, because a library may swallow it; the block then counts as too slow, however it
    ends.
    """
    if not _is_worker() or threading.current_thread() is not threading.main_thread():
        yield
        return
    old_limits = resource.getrlimit(resource.RLIMIT_AS)
    old_handler = signal.signal(signal.SIGALRM, _raise_deadline_exceeded)
    watchdog = threading.Timer(seconds + GRACE_S, os._exit, (1,))
    watchdog.daemon = True
    watchdog.start()
    try:
        with suppress(ValueError, OSError):  # a lower limit of the system stays in force
            address_limit = _address_space_bytes() + memory_bytes
            resource.setrlimit(resource.RLIMIT_AS, (address_limit, old_limits[1]))
        _deadline.has_passed = False
        signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            watchdog.cancel()
            if _deadline.has_passed:
                raise Invalid(
                    "the item exceeds the time limit",
                    expected=f"at most {seconds:g} s",
                    got="more",
                    hint="Raise time_limit_s, unless the item may be malicious",
                    reason=TOO_SLOW,
                )
    except MemoryError as error:
        raise Invalid(
            "the item exceeds the memory limit",
            expected=f"at most {memory_bytes >> 20:,} MiB",
            got="more",
            hint="Raise memory_limit_mb, unless the item may be malicious",
            reason=TOO_BIG,
        ) from error
    finally:
        _deadline.has_passed = False
        signal.signal(signal.SIGALRM, old_handler)
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_AS, old_limits)


def _is_worker() -> bool:
    """Whether this process was started to work on items."""
    if multiprocessing.parent_process() is not None:
        return True
    ray = sys.modules.get("ray")
    return ray is not None and ray._private.worker.global_worker.mode == ray.WORKER_MODE


def _raise_deadline_exceeded(_number: int, _frame: FrameType | None) -> None:
    _deadline.has_passed = True
    raise DeadlineExceeded


def _address_space_bytes() -> int:
    """Size of the process's address space in bytes; 2 GiB if it cannot be read."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    except OSError:
        return 2 << 30
    return pages * os.sysconf("SC_PAGESIZE")
