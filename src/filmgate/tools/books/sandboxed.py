"""Run a module in a sandboxed process, for untrusted files, and read its messages."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path
from typing import Any

from filmgate.core.errors import Invalid, Unavailable

DEADLINE_S = 1800
"""Time limit of the process in seconds of wall-clock time; a book of 5,000 pages takes a minute."""

PASSED_VARIABLES = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TMPDIR",
    "PYTHONPATH",
    "LD_LIBRARY_PATH",
    "VIRTUAL_ENV",
)
"""Environment variables that are passed to the process; none contains keys or addresses."""

Message = dict[str, Any]
"""One JSON document that the process sends; it is not trusted."""

ERRORS = {"unavailable": Unavailable}


def run_module(module: str, *arguments: str) -> Generator[Message, None, None]:
    """Run `python -m module`, and yield its messages, one JSON document per line, up to `end`.

    Raises Invalid (or Unavailable) if the process sends `error`, dies, or exceeds `DEADLINE_S`. It
    neither inherits the environment nor runs in the current directory, from which Python would
    import modules. It is killed when the generator is closed.
    """
    worker = subprocess.Popen(
        [sys.executable, "-P", "-m", module, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd="/",
        env=_environment(),
    )
    assert worker.stdout is not None
    deadline = threading.Timer(DEADLINE_S, worker.kill)
    deadline.daemon = True
    deadline.start()
    try:
        for line in worker.stdout:
            message = dict(json.loads(line))
            if "error" in message:
                fields = message["error"]
                raise ERRORS.get(fields.pop("code"), Invalid)(**fields)
            if "end" in message:
                return
            yield message
        raise _process_died(worker.wait())
    except (ValueError, TypeError) as error:
        worker.kill()
        raise _process_died(worker.wait()) from error
    finally:
        deadline.cancel()
        with suppress(OSError):
            worker.kill()
        worker.stdout.close()
        worker.wait()


def _environment() -> dict[str, str]:
    passed = {name: os.environ[name] for name in PASSED_VARIABLES if name in os.environ}
    if "PYTHONPATH" in passed:  # made absolute, because the process runs in another directory
        paths = passed["PYTHONPATH"].split(os.pathsep)
        passed["PYTHONPATH"] = os.pathsep.join(str(Path(path).absolute()) for path in paths if path)
    return passed


def _process_died(code: int) -> Invalid:
    return Invalid(
        "the reader process died",
        expected=f"a book that can be read in 3 GB and {DEADLINE_S // 60} minutes",
        got=signal.Signals(-code).name if code < 0 else f"exit code {code}",
        hint="Do not trust the book: it is damaged or malicious",
    )
