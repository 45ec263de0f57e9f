"""Install each tool with pip into a separate virtual environment."""

import subprocess
import sys
from pathlib import Path

from peers.peer import Peer
from peers.workspace import PEERS, ToolFailedError, last_line


def programs(folder: str) -> Path:
    """Return the folder of a tool's programs: its environment's, or that of this interpreter."""
    return PEERS / folder / "bin" if folder != "own" else Path(sys.executable).parent


def install(peer: Peer) -> None:
    """Create the tool's environment, unless it exists with the same requirements.

    Raises ToolFailedError with pip's last line of output if that fails.
    """
    target = PEERS / peer.folder
    marker = target / ".installed"
    requirements = "\n".join(peer.requirements)
    if not requirements or (marker.exists() and marker.read_text() == requirements):
        return
    _call([sys.executable, "-m", "venv", "--clear", str(target)])
    pip = [str(target / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check"]
    _call([*pip, *peer.requirements])
    marker.write_text(requirements)


def version(distribution: str, folder: str) -> str:
    """Return the version of a distribution in a tool's environment."""
    code = f"from importlib.metadata import version; print(version({distribution!r}))"
    return _call([str(programs(folder) / "python"), "-c", code]).strip()


def _call(command: list[str]) -> str:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise ToolFailedError(last_line(result.stdout + result.stderr))
    return result.stdout
