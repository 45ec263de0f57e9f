"""The inputs of a run: files with their digests, and a watch on whether they stay as they were."""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

CHUNK_BYTES = 1 << 20

Mark = tuple[int, ...]


class Inputs(NamedTuple):
    """The asset and its side-cars, as they were when they were read."""

    files: Mapping[str, Path]
    """By name; the asset first."""
    digests: Mapping[str, str]
    """`sha256:…` by name."""
    marks: Mapping[str, Mark]
    """Device, inode, size and times of change at which the digest was taken."""

    def changed(self) -> list[str]:
        """Names of the files that are not as they were when they were read."""
        return [name for name, path in self.files.items() if _mark(path) != self.marks[name]]


def nobody_knows(_path: Path) -> str | None:
    """Where no digest is known before a file is read."""
    return None


def read_inputs(
    files: Mapping[str, Path],
    told: Callable[[float, float], None],
    known: Callable[[Path], str | None] = nobody_knows,
) -> Inputs:
    """Take the digest of every file; `told` hears how many bytes of how many are done. `known`
    gives the sha256 of files that need not be read for it."""
    files = {name: path.absolute() for name, path in files.items()}
    marks = {name: _mark(path) for name, path in files.items()}
    total = sum(path.stat().st_size for path in files.values())
    digests: dict[str, str] = {}
    done = 0
    for name, path in files.items():
        if (sha256 := known(path)) is not None:
            digests[name] = f"sha256:{sha256}"
            done += path.stat().st_size
            continue
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                digest.update(chunk)
                done += len(chunk)
                told(done, total)
        digests[name] = f"sha256:{digest.hexdigest()}"
    return Inputs(files=files, digests=digests, marks=marks)


def _mark(path: Path) -> Mark:
    try:
        stat = path.stat()
    except OSError:
        return ()
    return (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
