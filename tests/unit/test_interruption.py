"""Signals that ask the program to end."""

import signal
import subprocess
import sys

import pytest

DROPPED = """
import os, signal, sys, time, weakref
from filmgate.app.interruption import heed_signals
from filmgate.core.errors import Interrupted

class Thing: ...

def swallow(_):
    os.kill(os.getpid(), int(sys.argv[1]))

heed_signals()
try:
    thing = Thing()
    held = weakref.ref(thing, swallow)
    del thing
    print("dropped", flush=True)
    time.sleep(20)
except Interrupted:
    sys.exit(130)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_the_interpreter_drops_ends_the_program_still(number: signal.Signals) -> None:
    done = subprocess.run(
        [sys.executable, "-c", DROPPED, str(int(number))],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.returncode, done.stderr) == ("dropped\n", 130, "")
