"""Faults put into the system calls of a child process from outside, with strace."""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

PATIENCE_S = 60.0
"""A child that takes longer hangs."""

_LINE = re.compile(r"(?P<pid>\d+) +(?P<name>\w+)\((?P<rest>.*)")

_ATTACHED = re.compile(r" attached( with \d+ threads)?$", re.M)


@dataclass(frozen=True)
class Call:
    """A system call that a process's first thread made."""

    name: str
    ordinal: int
    """Among its calls of that name, from 1: as strace counts."""
    rest: str
    """Arguments and result, in strace's words."""

    @property
    def changes_disk(self) -> bool:
        """Whether it may leave the disk another; opening does only where it may create."""
        return not self.name.startswith("open") or "O_CREAT" in self.rest


@dataclass(frozen=True)
class Traced:
    """How a child ended, and what it had called."""

    exit_code: int
    """Negative for a signal."""
    calls: tuple[Call, ...]


def why_not(scratch: Path) -> str | None:
    """Why no child can be traced here; None where one can."""
    if shutil.which("strace") is None:
        return "there is no strace here"
    try:
        traced(lambda: None, scratch / "probe", ("write",))
    except PermissionError as error:
        return f"strace may not attach to a child here: {error}"
    return None


def traced(
    work: Callable[[], object], log: Path, names: Iterable[str], *, inject: str | None = None
) -> Traced:
    """Fork, attach to the child, and let it work; counting starts at the attach.

    `inject`: a fault in strace's words. Raises PermissionError where strace may not attach.
    """
    child = os.fork()
    if not child:
        _wait_and_work(work)
    try:
        os.waitpid(child, os.WUNTRACED)
        _follow(child, log, names, inject)
    finally:
        os.kill(child, signal.SIGKILL)  # It is a zombie by now, unless strace failed.
        _, status = os.waitpid(child, 0)
    return Traced(os.waitstatus_to_exitcode(status), tuple(_calls(child, log.read_text())))


def _wait_and_work(work: Callable[[], object]) -> None:
    """The child: begins once it is watched, and never comes back."""
    try:
        os.kill(os.getpid(), signal.SIGSTOP)
        work()
    finally:
        os._exit(0)


def _follow(child: int, log: Path, names: Iterable[str], inject: str | None) -> None:
    chosen = ["-e", f"trace={','.join(f'?{name}' for name in names)}"]
    fault = ["-e", f"inject={inject}"] if inject else []
    command = ["strace", "-f", "-y", "-o", str(log), *chosen, *fault, "-p", str(child)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as strace:
        assert strace.stderr is not None
        said = strace.stderr.readline()
        if not _ATTACHED.search(said):
            strace.kill()
            raise PermissionError(said.strip())
        os.kill(child, signal.SIGCONT)
        try:
            strace.wait(PATIENCE_S)
        finally:
            strace.kill()


def _calls(pid: int, trace: str) -> Iterable[Call]:
    counts: dict[str, int] = {}
    for line in trace.splitlines():
        found = _LINE.match(line)
        if found and int(found["pid"]) == pid:
            name = found["name"]
            counts[name] = counts.get(name, 0) + 1
            yield Call(name, counts[name], found["rest"])
