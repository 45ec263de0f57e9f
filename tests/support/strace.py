"""Injects faults into the system calls of a child process, with strace."""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

TIMEOUT_S = 60.0
"""Maximum number of seconds for a child; one that takes longer hangs."""

_LINE = re.compile(r"(?P<pid>\d+) +(?P<name>\w+)\((?P<rest>.*)")

_ATTACHED = re.compile(r" attached( with \d+ threads)?$", re.M)


@dataclass(frozen=True)
class Call:
    """A system call of a process's first thread."""

    name: str
    ordinal: int
    """Number of the call among the calls with that name, from 1, as strace counts."""
    rest: str
    """Arguments and result, as strace prints them."""

    @property
    def changes_disk(self) -> bool:
        """Whether it may change the disk; opening does only if it may create a file."""
        return not self.name.startswith("open") or "O_CREAT" in self.rest


@dataclass(frozen=True)
class TracedChild:
    """Exit code and system calls of a child."""

    exit_code: int
    """Negative for a signal."""
    calls: tuple[Call, ...]


def why_unavailable(scratch: Path) -> str | None:
    """Why strace cannot trace a child here; None if it can."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    try:
        trace_child(lambda: None, scratch / "probe", ("write",))
    except PermissionError as error:
        return f"strace is not permitted to attach to a child: {error}"
    return None


def trace_child(
    work: Callable[[], object], log: Path, names: Iterable[str], *, inject: str | None = None
) -> TracedChild:
    """Fork, attach to the child, and let it work; calls are counted from the attachment on.

    `inject`: a fault, as an argument of strace. Raises PermissionError if strace may not attach.
    """
    child = os.fork()
    if not child:
        _wait_and_work(work)
    try:
        os.waitpid(child, os.WUNTRACED)
        _run_strace(child, log, names, inject)
    finally:
        os.kill(child, signal.SIGKILL)  # it is a zombie now, unless strace failed
        _, status = os.waitpid(child, 0)
    return TracedChild(os.waitstatus_to_exitcode(status), tuple(_calls(child, log.read_text())))


def _wait_and_work(work: Callable[[], object]) -> None:
    """Work in the child, after the parent has attached strace; never returns."""
    try:
        os.kill(os.getpid(), signal.SIGSTOP)
        work()
    finally:
        os._exit(0)


def _run_strace(child: int, log: Path, names: Iterable[str], inject: str | None) -> None:
    chosen = ["-e", f"trace={','.join(f'?{name}' for name in names)}"]
    fault = ["-e", f"inject={inject}"] if inject else []
    command = ["strace", "-f", "-y", "-o", str(log), *chosen, *fault, "-p", str(child)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as strace:
        assert strace.stderr is not None
        first_line = strace.stderr.readline()
        if not _ATTACHED.search(first_line):
            strace.kill()
            raise PermissionError(first_line.strip())
        os.kill(child, signal.SIGCONT)
        try:
            strace.wait(TIMEOUT_S)
        finally:
            strace.kill()


def _calls(pid: int, trace: str) -> Iterable[Call]:
    counts: dict[str, int] = {}
    for line in trace.splitlines():
        match = _LINE.match(line)
        if match and int(match["pid"]) == pid:
            name = match["name"]
            counts[name] = counts.get(name, 0) + 1
            yield Call(name, counts[name], match["rest"])
