"""The description of a tool for the benchmark."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from peers.workloads.chain import COUNT
from peers.workspace import Workspace

Command = Sequence[str]


@dataclass(frozen=True)
class Codec:
    """The format of a tool's stored files. Both functions raise ValueError for invalid data."""

    decode: Callable[[bytes], list[int]]
    encode: Callable[[list[int], bytes], bytes]
    """Encodes numbers like the given stored file."""


JSON_LIST = Codec(decode=json.loads, encode=lambda numbers, _: json.dumps(numbers).encode())


def no_preparation(workspace: Workspace) -> None:
    """Do nothing, for a tool that needs no project files."""


@dataclass(frozen=True, kw_only=True)
class Peer:
    """A tool, and the variant of it that is measured."""

    name: str
    requirements: tuple[str, ...] = ()
    """Requirements that pip installs; none for a tool that runs in the benchmark's environment."""
    distribution: str = ""
    """Distribution whose version is reported."""
    how: str
    """Description of the variant, in a sentence or two."""
    environment: Mapping[str, str] = field(default_factory=dict)
    prepare: Callable[[Workspace], None] = no_preparation
    """Writes the project files around the chain; not measured."""
    run: Callable[[Workspace], Command]
    """Returns the command of the first and of every later run."""
    run_from: Callable[[Workspace, int], Command] | None = None
    """Returns the command that only runs the steps from the given one on; None if there is none."""
    run_from_note: str
    """Description of `run_from`, or the reason why there is none."""
    recover: Callable[[Workspace], Command] | None = None
    """Returns the command that the documentation names after a crash; None if it is `run`."""
    recover_note: str = "the same command"
    stored_files: Callable[[Workspace], list[Path]]
    """Lists the files that can contain numbers of steps."""
    result_file: Callable[[Workspace], Path | None]
    """Returns the path of the result of the last complete run; None if there is none."""
    codec: Codec = JSON_LIST
    result_codec: Codec = JSON_LIST
    halt_pattern: str
    """Regular expression for the path, relative to the workspace, of a file that a step writes."""
    is_timed: bool = True

    @property
    def folder(self) -> str:
        """Name of the folder of the tool's environment."""
        return self.distribution if self.requirements else "own"

    def find_step_file(self, workspace: Workspace, step: int) -> Path | None:
        """Find the stored file with the correct numbers of a step; None if there is none."""
        for path in self.stored_files(workspace):
            if self.read_numbers(path) == expected_numbers(step):
                return path
        return None

    def read_numbers(self, path: Path) -> list[int] | None:
        """Read the numbers in a stored file; None if it cannot be read."""
        return _decode_file(self.codec, path)

    def result(self, workspace: Workspace) -> tuple[bytes, list[int] | None] | None:
        """Read (bytes, numbers) of the result of the last complete run; None if there is none. The
        numbers are None if the file cannot be read."""
        path = self.result_file(workspace)
        if path is None or not path.exists():
            return None
        return path.read_bytes(), _decode_file(self.result_codec, path)


def expected_numbers(step: int) -> list[int]:
    """Return the correct numbers of a step."""
    return list(range(step + 1, step + 1 + COUNT))


def find_files(workspace: Workspace, pattern: str) -> list[Path]:
    """Find the files of a workspace that match a glob pattern."""
    return sorted(path for path in workspace.folder.glob(pattern) if path.is_file())


def _decode_file(codec: Codec, path: Path) -> list[int] | None:
    try:
        return codec.decode(path.read_bytes())
    except Exception:  # noqa: BLE001 - a damaged pickle may raise anything
        return None
