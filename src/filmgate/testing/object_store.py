"""Implementation of the port `ObjectStore` in memory."""

import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, NamedTuple

from filmgate.core.digest import sha256_hex
from filmgate.core.errors import Invalid, NotFound, StoreNotFound
from filmgate.core.objects import PAGE_KEYS, ObjectEntry, ObjectStore, check_prefix
from filmgate.core.publishing import is_plain_path
from filmgate.store.file_parts import read_verified_parts


class _StoredObject(NamedTuple):
    data: bytes
    mark: str

    def entry(self, key: str) -> ObjectEntry:
        return ObjectEntry(key=key, size_bytes=len(self.data), mark=self.mark)


class MemoryObjectStore:
    """Objects in a dictionary. Thread-safe.

    A pickled copy contains the objects at that time; later writes to the copy are separate.
    Each change is one operation of a dictionary, which is atomic, so that no lock is needed.
    """

    def __init__(self, url: str = "memory://store") -> None:
        self.url = url.rstrip("/")
        self._objects: dict[str, _StoredObject] = {}

    def check(self) -> None:
        """Do nothing: a store in memory always responds."""

    def create(self, key: str, data: bytes | Path, sha256: str | None = None) -> bool:
        """Create an object; return False, without changing it, if it exists."""
        _check_key(key)
        created = _stored_object(data, sha256)
        return self._objects.setdefault(key, created) is created

    def replace(self, key: str, data: bytes | Path) -> None:
        """Create an object, or replace its bytes."""
        _check_key(key)
        self._objects[key] = _stored_object(data, None)

    def entry(self, key: str) -> ObjectEntry | None:
        """Key, size and mark of an object; None if it does not exist."""
        _check_key(key)
        stored = self._objects.get(key)
        return stored.entry(key) if stored else None

    def open(self, key: str) -> BinaryIO:
        """Open an object for reading."""
        return io.BytesIO(self._object(key).data)

    def read(self, key: str, start: int, size: int) -> bytes:
        """Read at most `size` bytes of an object, from the offset `start`."""
        return self._object(key).data[start : start + size]

    def remove(self, key: str) -> None:
        """Remove an object, if it exists."""
        _check_key(key)
        self._objects.pop(key, None)

    def path(self, key: str) -> Path | None:
        """Return None: no object is a file."""
        _check_key(key)
        return None

    def pages(self, prefix: str, after: str | None = None) -> Iterator[list[ObjectEntry]]:
        """Yield all objects below the folder `prefix` in pages, sorted by key."""
        check_prefix(prefix)
        start = f"{prefix}/" if prefix else ""
        wanted = [
            stored.entry(key)
            for key, stored in sorted(self._objects.items())
            if key.startswith(start) and (after is None or key > after)
        ]
        for first in range(0, len(wanted), PAGE_KEYS):
            yield wanted[first : first + PAGE_KEYS]

    def _object(self, key: str) -> _StoredObject:
        _check_key(key)
        stored = self._objects.get(key)
        if stored is None:
            raise NotFound(
                f"object {key} does not exist in {self.url}", expected="an object", got="none"
            )
        return stored


class MemoryStores:
    """Implementation of `OpenStore`: opens stores in memory by their address."""

    def __init__(self, stores: Mapping[str, ObjectStore]) -> None:
        self._stores = {address.rstrip("/"): store for address, store in stores.items()}

    def __call__(self, place: str, *, make: bool = False) -> ObjectStore:
        """Return the store at an address; with `make`, create a missing one in memory.

        Raises StoreNotFound if the address has none.
        """
        address = place.rstrip("/")
        if make:
            return self._stores.setdefault(address, MemoryObjectStore(address))
        if address not in self._stores:
            raise StoreNotFound(
                f"store {place} does not exist",
                expected=f"one of {', '.join(self._stores) or 'no stores'}",
                got=repr(place),
            )
        return self._stores[address]


def _stored_object(data: bytes | Path, sha256: str | None) -> _StoredObject:
    joined = data if isinstance(data, bytes) else b"".join(read_verified_parts(data, sha256))
    return _StoredObject(data=joined, mark=sha256_hex(joined))


def _check_key(key: str) -> None:
    """Raise Invalid for a key that is not valid in every store."""
    if not is_plain_path(key):
        raise Invalid("the object key is invalid", expected="a/relative/path", got=repr(key))
