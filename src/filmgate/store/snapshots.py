"""Snapshots: what a run consulted besides itself, kept by its digest."""

from pathlib import Path

from filmgate.core.digest import sha256_hex
from filmgate.core.resources import Resource
from filmgate.store.durable import make_folders, replace_file


class Snapshots:
    """Those of one resource, in a folder of the home."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self._name = name

    def there(self, sha256: str) -> Resource | None:
        """The snapshot of that digest; None where it is gone, or was altered."""
        path = self.folder / f"{sha256}.json"
        is_whole = path.is_file() and sha256_hex(path.read_bytes()) == sha256
        return Resource(name=self._name, sha256=sha256, path=path) if is_whole else None

    def keep(self, data: bytes) -> Resource:
        """What a run is to consult now."""
        sha256 = sha256_hex(data)
        kept = self.there(sha256)
        if kept is not None:
            return kept
        path = self.folder / f"{sha256}.json"
        make_folders(path.parent)
        replace_file(path, data, durable=True)
        return Resource(name=self._name, sha256=sha256, path=path)
