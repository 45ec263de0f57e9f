"""SIGINT and SIGTERM end the program."""

import signal
import subprocess
import sys

import pytest

DROPPED = """
import os, signal, sys, time, weakref
from filmgate.wiring.signals import install_signal_handlers
from filmgate.core.errors import Interrupted

class Target: ...

def on_finalize(_):
    os.kill(os.getpid(), int(sys.argv[1]))

install_signal_handlers()
try:
    target = Target()
    reference = weakref.ref(target, on_finalize)
    del target
    print("dropped", flush=True)
    time.sleep(20)
except Interrupted:
    sys.exit(130)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_the_interpreter_drops_still_ends_the_program(number: signal.Signals) -> None:
    done = subprocess.run(
        [sys.executable, "-c", DROPPED, str(int(number))],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.returncode, done.stderr) == ("dropped\n", 130, "")
