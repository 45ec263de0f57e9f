"""Expensive test data that is created once and shared by all workers of a test session."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

SESSION = "PYTEST_XDIST_TESTRUNUID"
"""The variable that identifies the test session to which a worker belongs."""


@contextmanager
def shared_folder(factory: pytest.TempPathFactory, name: str) -> Iterator[Path]:
    """Return a folder that all workers of the session share; one worker at a time is in the block.

    Only its owner may enter it, as in the folder of each test: the embedded database requires the
    same permissions as where it was created.
    """
    folder = factory.getbasetemp().parent / f"{name}-{os.environ.get(SESSION, 'alone')}"
    folder.mkdir(mode=0o700, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder
