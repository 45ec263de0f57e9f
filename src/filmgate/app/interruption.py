"""Signals that ask a program to end: none is lost."""

import os
import signal
import sys
import threading
from types import FrameType

from filmgate.core.errors import Interrupted

AGAIN_AFTER_S = 0.05
"""When a signal that the interpreter dropped is sent again."""


def heed_signals() -> None:
    """From now on SIGINT and SIGTERM raise `Interrupted` in the main thread.

    What is raised while the interpreter runs a callback of its own (a finaliser, a weak
    reference's, of which every import has some), Python tells of and drops:
    https://docs.python.org/3/library/sys.html#sys.unraisablehook. So such a signal is sent again.
    """
    for asked in (signal.SIGINT, signal.SIGTERM):
        signal.signal(asked, _interrupt)
    sys.unraisablehook = _again


def _interrupt(number: int, _frame: FrameType | None) -> None:
    raise Interrupted(f"signal {number}")


def _again(dropped: "sys.UnraisableHookArgs") -> None:
    if not issubclass(dropped.exc_type, Interrupted):
        sys.__unraisablehook__(dropped)
        return
    sender = threading.Timer(AGAIN_AFTER_S, os.kill, (os.getpid(), signal.SIGTERM))
    sender.daemon = True
    sender.start()
