"""Halt in the middle of writing a step's file, so that the benchmark can kill the process there.

Small files are written in one system call, so that a timer cannot hit the middle of it. After
`halt_next_write`, the first large write to a file whose path matches writes the first half of the
bytes, creates a file named `halted`, and waits until the process is killed. Everything else is done
by the tool's code: temporary names, renames, buffers.
"""

import builtins
import io
import os
import re
import time
from pathlib import Path
from typing import Any

SMALL_BYTES = 300
"""Largest write that is not halted: a step's file is larger, logs and markers are not."""

real_open, real_write = io.open, os.write


def halt_next_write(pattern: str, folder: Path) -> None:
    """Patch `open`, `io.FileIO` and `os.write` for files below `folder` whose path matches."""
    trap = WriteTrap(pattern, folder)

    class HaltingFile(io.FileIO):
        """A raw file that halts when half of the data is written, if its path matches."""

        def __init__(self, file: Any, *args: Any, **kwargs: Any) -> None:
            super().__init__(file, *args, **kwargs)
            self._is_trapped = trap.matches(file)

        def write(self, data: Any) -> int:
            """Write the data, or halt."""
            if self._is_trapped:
                trap.halt(self.fileno(), data)
            written: int = super().write(data)
            return written

    def halting_open(file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        if not set(mode) & set("wax+") or not trap.matches(file):
            return real_open(file, mode, *args, **kwargs)
        raw_mode = mode.replace("b", "").replace("t", "")
        raw = io.BufferedWriter(HaltingFile(file, raw_mode, closefd=kwargs.get("closefd", True)))
        return raw if "b" in mode else io.TextIOWrapper(raw, encoding="utf-8")

    def halting_write(descriptor: int, data: Any) -> int:
        if trap.matches(descriptor):
            trap.halt(descriptor, data)
        return real_write(descriptor, data)

    builtins.open = io.open = halting_open
    io.FileIO = HaltingFile  # type: ignore[misc]
    os.write = halting_write


class WriteTrap:
    """Recognises the step's file, and halts when it is written."""

    def __init__(self, pattern: str, folder: Path) -> None:
        self._pattern = re.compile(pattern)
        self._folder = folder

    def matches(self, file: object) -> bool:
        """Whether a path or file descriptor refers to a matching file."""
        try:
            path = Path(f"/proc/self/fd/{file}").readlink() if isinstance(file, int) else file
            relative = (Path.cwd() / str(path)).relative_to(self._folder)
        except (OSError, ValueError):
            return False
        return self._pattern.search(str(relative)) is not None

    def halt(self, descriptor: int, data: Any) -> None:
        """Write half of the data and never return, unless the data is small."""
        if len(data) <= SMALL_BYTES:
            return
        real_write(descriptor, bytes(data)[: len(data) // 2])
        (self._folder / "halted").touch()
        while True:
            time.sleep(1)
