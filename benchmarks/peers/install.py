"""Each tool in a virtual environment of its own, by plain pip."""

import subprocess
import sys
from pathlib import Path

from peers.peer import Peer
from peers.place import PEERS, ToolFailedError, last_words


def programs(folder: str) -> Path:
    """Where a tool's programs are; ours for what needs no environment of its own."""
    return PEERS / folder / "bin" if folder != "own" else Path(sys.executable).parent


def install(peer: Peer) -> None:
    """Make the environment where it is not there; ToolFailedError with pip's last words."""
    target = PEERS / peer.folder
    done = target / ".installed"
    wanted = "\n".join(peer.requirements)
    if not wanted or (done.exists() and done.read_text() == wanted):
        return
    _call([sys.executable, "-m", "venv", "--clear", str(target)])
    pip = [str(target / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check"]
    _call([*pip, *peer.requirements])
    done.write_text(wanted)


def version(distribution: str, folder: str) -> str:
    """The version of a distribution in an environment."""
    asked = f"from importlib.metadata import version; print(version({distribution!r}))"
    return _call([str(programs(folder) / "python"), "-c", asked]).strip()


def _call(command: list[str]) -> str:
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise ToolFailedError(last_words(ended.stdout + ended.stderr))
    return ended.stdout
