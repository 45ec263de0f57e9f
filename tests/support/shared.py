"""What is dear to make is made once, whichever worker of a session of tests comes first."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

SESSION = "PYTEST_XDIST_TESTRUNUID"
"""The variable that tells workers of one session apart from those of another."""


@contextmanager
def shared_folder(factory: pytest.TempPathFactory, name: str) -> Iterator[Path]:
    """A folder that all workers of the session have in common; inside the block, one at a time.

    For its owner alone, as the folder of each test: the embedded database keeps to who may enter
    the place where it was made.
    """
    folder = factory.getbasetemp().parent / f"{name}-{os.environ.get(SESSION, 'alone')}"
    folder.mkdir(mode=0o700, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder
