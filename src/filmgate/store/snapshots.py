"""Snapshots of resources that runs read, stored by their digest."""

from pathlib import Path

from filmgate.core.digest import sha256_hex
from filmgate.core.resources import Resource
from filmgate.store.durable import make_folders, replace_file


class Snapshots:
    """The snapshots of one resource, in a folder of the home."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self._name = name

    def find(self, sha256: str) -> Resource | None:
        """Return the snapshot with a digest; None if it does not exist or was altered."""
        path = self.folder / f"{sha256}.json"
        is_intact = path.is_file() and sha256_hex(path.read_bytes()) == sha256
        return Resource(name=self._name, sha256=sha256, path=path) if is_intact else None

    def save(self, data: bytes) -> Resource:
        """Store data as a snapshot unless it is already stored; return the snapshot."""
        sha256 = sha256_hex(data)
        existing = self.find(sha256)
        if existing is not None:
            return existing
        path = self.folder / f"{sha256}.json"
        make_folders(path.parent)
        replace_file(path, data, durable=True)
        return Resource(name=self._name, sha256=sha256, path=path)
