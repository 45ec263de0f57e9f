"""Handlers of SIGINT and SIGTERM that do not lose a signal."""

import os
import signal
import sys
import threading
from types import FrameType

from filmgate.core.errors import Interrupted

RESEND_AFTER_S = 0.05
"""Delay before a signal that the interpreter dropped is sent again, in seconds."""


def install_signal_handlers() -> None:
    """Make SIGINT and SIGTERM raise `Interrupted` in the main thread.

    If the exception is raised in a finaliser or in the callback of a weak reference (every import
    executes some), Python only reports it and drops it:
    https://docs.python.org/3/library/sys.html#sys.unraisablehook. In that case the process sends
    the signal to itself again.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    sys.unraisablehook = _resend


def _interrupt(number: int, _frame: FrameType | None) -> None:
    raise Interrupted(f"signal {number}")


def _resend(dropped: "sys.UnraisableHookArgs") -> None:
    if not issubclass(dropped.exc_type, Interrupted):
        sys.__unraisablehook__(dropped)
        return
    sender = threading.Timer(RESEND_AFTER_S, os.kill, (os.getpid(), signal.SIGTERM))
    sender.daemon = True
    sender.start()
