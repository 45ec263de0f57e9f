"""A folder in which one tool runs one chain, and the processes that run there."""

import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PEERS = ROOT / ".peers"
"""Folder of the tools' environments, and of their files in the user's home."""

TIMEOUT_S = 600
HALT_TIMEOUT_S = 120


class ToolFailedError(Exception):
    """A tool failed before a file was damaged, so that a case cannot be measured."""


@dataclass(frozen=True)
class ProcessResult:
    """Exit code, wall time and output of a process."""

    code: int
    seconds: float
    output: str
    """Standard output and standard error together."""


@dataclass(frozen=True, kw_only=True)
class Workspace:
    """A chain of `steps` steps in `folder`, executed with the programs in the folder `programs`."""

    folder: Path
    steps: int
    programs: Path
    environment: Mapping[str, str]

    @property
    def last(self) -> int:
        """Number of the last step."""
        return self.steps - 1

    def run(self, command: Sequence[str], extra: Mapping[str, str] | None = None) -> ProcessResult:
        """Run a command to its end; `extra`: additional environment variables.

        Raises ToolFailedError after `TIMEOUT_S`.
        """
        with (self.folder / "output.txt").open("w+b") as output:
            started = time.perf_counter()
            process = self._start(command, output.fileno(), extra or {})
            watchdog = threading.Timer(TIMEOUT_S, kill_tree, [process])
            watchdog.start()
            code = process.wait()  # wait(timeout) polls only every 50 ms
            seconds = time.perf_counter() - started
            watchdog.cancel()
            if seconds >= TIMEOUT_S:
                raise ToolFailedError(f"the command did not end within {TIMEOUT_S} s")
            output.seek(0)
            return ProcessResult(code, seconds, output.read().decode(errors="replace"))

    def run_successfully(self, command: Sequence[str]) -> ProcessResult:
        """Run a command; raise ToolFailedError with its last line of output if it fails."""
        result = self.run(command)
        if result.code:
            raise ToolFailedError(f"exit {result.code}: {last_line(result.output)}")
        return result

    def kill_halfway(self, command: Sequence[str], step: int, pattern: str) -> None:
        """Run a command until half of the step's file is written, then kill all its processes.

        `pattern`: regular expression for the path of the step's file. Raises ToolFailedError if no
        such write happens within `HALT_TIMEOUT_S`.
        """
        halted = self.folder / "halted"
        halted.unlink(missing_ok=True)
        extra = {"PEERS_HALT": str(step), "PEERS_HALT_PATTERN": pattern}
        with (self.folder / "output.txt").open("wb") as output:
            process = self._start(command, output.fileno(), extra)
            deadline = time.monotonic() + HALT_TIMEOUT_S
            while not halted.exists() and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.01)
            kill_tree(process)
        if not halted.exists():
            raise ToolFailedError("the step's file was not written")

    def take_executed_steps(self) -> list[int]:
        """Return the steps executed since the last call, in order of execution."""
        log = self.folder / "ran.txt"
        numbers = [int(line) for line in log.read_text().split()] if log.exists() else []
        log.unlink(missing_ok=True)
        return numbers

    def _start(
        self, command: Sequence[str], output: int, extra: Mapping[str, str]
    ) -> "subprocess.Popen[bytes]":
        path = f"{self.programs}{os.pathsep}{os.environ['PATH']}"
        environment = {
            "PATH": path,
            "HOME": str(PEERS / "home"),
            "LANG": "C.UTF-8",
            "USER": "bench",
            "PYTHONPATH": str(ROOT / "benchmarks"),
            "PEERS_STEPS": str(self.steps),
            "PEERS_PLACE": str(self.folder),
        }
        return subprocess.Popen(
            [shutil.which(command[0], path=path) or command[0], *command[1:]],
            cwd=self.folder,
            env={**environment, **self.environment, **extra},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def kill_tree(process: "subprocess.Popen[bytes]") -> None:
    """Kill a process started here and all its descendants with SIGKILL."""
    pids = [process.pid]
    for parent in pids:
        pids.extend(child for child in _children(parent) if child not in pids)
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    process.wait()


def _children(parent: int) -> list[int]:
    """Return the children of all threads of a process; an empty list if it no longer exists."""
    try:
        lists = [path.read_text() for path in Path(f"/proc/{parent}/task").glob("*/children")]
    except OSError:
        return []
    return [int(pid) for text in lists for pid in text.split()]


def last_line(output: str) -> str:
    """Return the last line of output that is not empty, without this machine's paths."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    line = lines[-1] if lines else "no output"
    return line.replace(str(ROOT), "…")[:160]
