"""The inputs of a run: files with their digests, and the check that they do not change."""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from filmgate.core.digest import digest_of
from filmgate.core.ids import AssetId
from filmgate.core.pipeline import InputFiles
from filmgate.core.records import Asset

CHUNK_BYTES = 1 << 20
"""Size of one read while a digest is computed, in bytes."""

StatIdentity = tuple[int, ...]
"""Device, inode, size, modification and change time of a file; empty if it does not exist."""


class Inputs(NamedTuple):
    """The asset and its side-car files, as of the time when they were read."""

    files: Mapping[str, Path]
    """Path by file name; the asset is the first."""
    digests: Mapping[str, str]
    """Digest by file name, as `sha256:…`."""
    identities: Mapping[str, StatIdentity]
    """Identity of each file, by name, at the time when its digest was taken."""

    def changed_files(self) -> list[str]:
        """Names of the files that changed since they were read."""
        return [n for n, path in self.files.items() if _identity(path) != self.identities[n]]


def no_known_digest(_path: Path) -> str | None:
    """Return None: no digest is known before a file is read."""
    return None


def read_inputs(
    files: Mapping[str, Path],
    progress: Callable[[float, float], None],
    known_digest: Callable[[Path], str | None] = no_known_digest,
) -> Inputs:
    """Compute the digest of every file.

    `progress` is called with the number of bytes read and the total. `known_digest`
    returns the sha256 of a file that need not be read, or None for other files.
    """
    files = {name: path.absolute() for name, path in files.items()}
    identities = {name: _identity(path) for name, path in files.items()}
    total = sum(path.stat().st_size for path in files.values())
    digests: dict[str, str] = {}
    done = 0
    for name, path in files.items():
        if (sha256 := known_digest(path)) is not None:
            digests[name] = f"sha256:{sha256}"
            done += path.stat().st_size
            continue
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                digest.update(chunk)
                done += len(chunk)
                progress(done, total)
        digests[name] = f"sha256:{digest.hexdigest()}"
    return Inputs(files=files, digests=digests, identities=identities)


def describe_asset(
    asset_id: AssetId, uri: str, admitted: InputFiles, digests: Mapping[str, str]
) -> Asset:
    """Describe the asset of an input: its first file, or all files if it is a collection.

    `digests`: digest by file name, as in `Inputs`.
    """
    files = admitted.files
    first = next(iter(files))
    names = list(files) if admitted.is_collection else [first]
    all_digests = dict(sorted(digests.items()))
    return Asset(
        id=asset_id,
        input_hash=digest_of(all_digests) if admitted.is_collection else digests[first],
        uri=uri,
        size_bytes=sum(files[name].stat().st_size for name in names),
        media=dict(admitted.media),
    )


def _identity(path: Path) -> StatIdentity:
    try:
        stat = path.stat()
    except OSError:
        return ()
    return (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
