"""A process of its own for files that are not to be trusted, and what it says."""

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
"""By the clock on the wall; a book of 5,000 pages takes a minute."""

KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
"""What of the environment the process sees: no keys, no addresses."""

ERRORS = {"unavailable": Unavailable}


def said_by(module: str, *arguments: str) -> Generator[dict[str, Any], None, None]:
    """What `python -m module` says, one JSON document a line, up to its `end`.

    Raises Invalid (or Unavailable) where it says `error`, where it dies, and where it takes more
    than half an hour. It sees neither our environment nor the folder that we are in, from which
    Python would take modules. It is gone when the generator is closed.
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
            told = dict(json.loads(line))
            if "error" in told:
                fault = told["error"]
                raise ERRORS.get(fault.pop("code"), Invalid)(**fault)
            if "end" in told:
                return
            yield told
        raise _died(worker.wait())
    except (ValueError, TypeError) as error:
        worker.kill()
        raise _died(worker.wait()) from error
    finally:
        deadline.cancel()
        with suppress(OSError):
            worker.kill()
        worker.stdout.close()
        worker.wait()


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    if "PYTHONPATH" in kept:  # it is not in our folder that the process looks
        paths = kept["PYTHONPATH"].split(os.pathsep)
        kept["PYTHONPATH"] = os.pathsep.join(str(Path(each).absolute()) for each in paths if each)
    return kept


def _died(code: int) -> Invalid:
    how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return Invalid(
        "the reader died on it",
        expected=f"a book that can be read in 3 GB and {DEADLINE_S // 60} minutes",
        got=how,
        hint="It is broken, or was made to harm",
    )
