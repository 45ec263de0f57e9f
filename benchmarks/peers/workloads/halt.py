"""Stop dead in the middle of writing a step's file, so that the benchmark can kill what is there.

Small files go to the kernel in one call, so no clock can hit the middle of it. From
`halt_next_write` on, the first large write to a file whose path matches gives the kernel the first
half of the bytes, says so by making a file named `halted`, and waits to be killed. The tool's own
code does the rest of the writing: temporary names, renames, buffers.
"""

import builtins
import io
import os
import re
import time
from pathlib import Path
from typing import Any

SMALL_BYTES = 300
"""No step's file is as short as this; notes and markers are."""

real_open, real_write = io.open, os.write


def halt_next_write(pattern: str, place: Path) -> None:
    """Arm `open`, `io.FileIO` and `os.write` for files under `place` whose path matches."""
    trap = Trap(pattern, place)

    class Halting(io.FileIO):
        """A raw file that takes no more than half, if it is meant."""

        def __init__(self, file: Any, *args: Any, **kwargs: Any) -> None:
            super().__init__(file, *args, **kwargs)
            self._is_meant = trap.means(file)

        def write(self, data: Any) -> int:
            """Write, or halt."""
            if self._is_meant:
                trap.spring(self.fileno(), data)
            written: int = super().write(data)
            return written

    def halting_open(file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        if not set(mode) & set("wax+") or not trap.means(file):
            return real_open(file, mode, *args, **kwargs)
        raw_mode = mode.replace("b", "").replace("t", "")
        raw = io.BufferedWriter(Halting(file, raw_mode, closefd=kwargs.get("closefd", True)))
        return raw if "b" in mode else io.TextIOWrapper(raw, encoding="utf-8")

    def halting_write(descriptor: int, data: Any) -> int:
        if trap.means(descriptor):
            trap.spring(descriptor, data)
        return real_write(descriptor, data)

    builtins.open = io.open = halting_open
    io.FileIO = Halting  # type: ignore[misc]
    os.write = halting_write


class Trap:
    """Which files are meant, and what happens to a write of theirs."""

    def __init__(self, pattern: str, place: Path) -> None:
        self._pattern = re.compile(pattern)
        self._place = place

    def means(self, file: object) -> bool:
        """Whether a path, or a descriptor, is of a file that is meant."""
        try:
            path = Path(f"/proc/self/fd/{file}").readlink() if isinstance(file, int) else file
            within = (Path.cwd() / str(path)).relative_to(self._place)
        except (OSError, ValueError):
            return False
        return self._pattern.search(str(within)) is not None

    def spring(self, descriptor: int, data: Any) -> None:
        """Write half of what is large enough, and never come back."""
        if len(data) <= SMALL_BYTES:
            return
        real_write(descriptor, bytes(data)[: len(data) // 2])
        (self._place / "halted").touch()
        while True:
            time.sleep(1)
