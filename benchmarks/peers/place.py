"""A place: a folder where one chain runs in one tool, and the processes that run there."""

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
"""Where the tools are installed, and where they keep what they keep for a user."""

PATIENCE_S = 600
HALT_PATIENCE_S = 120


class ToolFailedError(Exception):
    """A tool did not do what it had to before anything was tampered with."""


@dataclass(frozen=True)
class Ended:
    """How a process ended."""

    code: int
    seconds: float
    words: str
    """All it said, both streams."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """One chain of `steps` steps in `folder`, run by the programs in `programs`."""

    folder: Path
    steps: int
    programs: Path
    environment: Mapping[str, str]

    @property
    def last(self) -> int:
        """The number of the last step."""
        return self.steps - 1

    def run(self, command: Sequence[str], extra: Mapping[str, str] | None = None) -> Ended:
        """Run a command to its end; wall time of the whole process."""
        with (self.folder / "words.txt").open("w+b") as words:
            began = time.perf_counter()
            process = self._start(command, words.fileno(), extra or {})
            watchdog = threading.Timer(PATIENCE_S, kill_tree, [process])
            watchdog.start()
            code = process.wait()  # wait(timeout) would look only every 50 ms
            seconds = time.perf_counter() - began
            watchdog.cancel()
            if seconds >= PATIENCE_S:
                raise ToolFailedError(f"no end after {PATIENCE_S} s")
            words.seek(0)
            return Ended(code, seconds, words.read().decode(errors="replace"))

    def run_well(self, command: Sequence[str]) -> Ended:
        """Run a command that has to succeed; ToolFailedError with its last words otherwise."""
        ended = self.run(command)
        if ended.code:
            raise ToolFailedError(f"exit {ended.code}: {last_words(ended.words)}")
        return ended

    def kill_halfway(self, command: Sequence[str], step: int, pattern: str) -> None:
        """Run a command until half of the step's file is written, then kill -9 all of it."""
        halted = self.folder / "halted"
        halted.unlink(missing_ok=True)
        extra = {"PEERS_HALT": str(step), "PEERS_HALT_PATTERN": pattern}
        with (self.folder / "words.txt").open("wb") as words:
            process = self._start(command, words.fileno(), extra)
            until = time.monotonic() + HALT_PATIENCE_S
            while not halted.exists() and process.poll() is None and time.monotonic() < until:
                time.sleep(0.01)
            kill_tree(process)
        if not halted.exists():
            raise ToolFailedError("no write of the step's file was seen")

    def steps_run(self) -> list[int]:
        """Which steps did their work since last asked, in order."""
        note = self.folder / "ran.txt"
        numbers = [int(line) for line in note.read_text().split()] if note.exists() else []
        note.unlink(missing_ok=True)
        return numbers

    def _start(
        self, command: Sequence[str], words: int, extra: Mapping[str, str]
    ) -> "subprocess.Popen[bytes]":
        path = f"{self.programs}{os.pathsep}{os.environ['PATH']}"
        own = {
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
            env={**own, **self.environment, **extra},
            stdin=subprocess.DEVNULL,
            stdout=words,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def kill_tree(process: "subprocess.Popen[bytes]") -> None:
    """SIGKILL a process we started and all that descend from it."""
    found = [process.pid]
    for parent in found:
        found.extend(child for child in _children(parent) if child not in found)
    for pid in found:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    process.wait()


def _children(parent: int) -> list[int]:
    """Of any of its threads; empty where the process is gone."""
    try:
        lists = [path.read_text() for path in Path(f"/proc/{parent}/task").glob("*/children")]
    except OSError:
        return []
    return [int(pid) for text in lists for pid in text.split()]


def last_words(words: str) -> str:
    """The last line that says something, without this machine's paths."""
    lines = [line.strip() for line in words.splitlines() if line.strip()]
    told = lines[-1] if lines else "no words"
    return told.replace(str(ROOT), "…")[:160]
