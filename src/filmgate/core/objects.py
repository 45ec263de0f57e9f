"""The port of object stores: folders and buckets with inputs and published runs."""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol

from filmgate.core.errors import Invalid, Unavailable

PAGE_KEYS = 1000
"""Maximum number of keys in one page of a listing; the limit of S3."""


def is_inside_store(prefix: str) -> bool:
    """Whether all keys that begin with `prefix` are inside the store: it is relative, without `..`.

    The prefix may end within a name; it is empty for the whole store.
    """
    return not prefix.startswith("/") and ".." not in prefix.split("/") and "\0" not in prefix


def check_prefix(prefix: str) -> str:
    """Return a prefix of keys; raises Invalid if it is outside the store."""
    if not is_inside_store(prefix):
        raise Invalid(
            "the prefix is outside the store",
            expected="a relative prefix of keys without '..', such as sessions/2026-11-30/",
            got=repr(prefix),
        )
    return prefix


class ObjectEntry(NamedTuple):
    """An entry of a listing of objects."""

    key: str
    size_bytes: int
    mark: str
    """Value that changes with the bytes: an entity tag, or a file's inode, time and size."""


class ObjectStore(Protocol):
    """Objects by key, under one address.

    A key is a relative path of `/`-separated names. Every call is safe to repeat if its outcome is
    unknown. All calls raise StoreNotFound if the bucket or folder does not exist, Unavailable if it
    is unreachable or too slow, NotPermitted if it denies access, and Invalid for an invalid key.
    """

    @property
    def url(self) -> str:
        """Address without a trailing slash: `s3://bucket/prefix`, `file:///folder`."""

    def check(self) -> None:
        """Check that the store exists and responds; raise the error that other calls would."""

    def create(self, key: str, data: bytes | Path, sha256: str | None = None) -> bool:
        """Create an object atomically unless it exists.

        Returns True if it was created by this call, False if it exists, with any bytes.
        With `bytes`, concurrent calls are allowed, and one of them creates the object. With a
        Path, for data too large for memory, only one call at a time is allowed; Invalid is raised
        and nothing is created if the file does not have the digest `sha256`.
        """

    def entry(self, key: str) -> ObjectEntry | None:
        """Return the entry of an object without reading it; None if it does not exist."""

    def open(self, key: str) -> BinaryIO:
        """Open an object for sequential reading. Raises NotFound if it does not exist."""

    def read(self, key: str, start: int, size: int) -> bytes:
        """Read at most `size` bytes from offset `start`; fewer at the end of the object.

        Raises NotFound if the object does not exist.
        """

    def replace(self, key: str, data: bytes | Path) -> None:
        """Create or overwrite an object atomically."""

    def remove(self, key: str) -> None:
        """Remove an object, if it exists."""

    def path(self, key: str) -> Path | None:
        """Return the path of an object that is a file on this machine; None for other objects."""

    def pages(self, prefix: str, after: str | None = None) -> Iterator[list[ObjectEntry]]:
        """Yield pages of all objects in a folder `prefix` and its subfolders, sorted by key.

        An empty `prefix` means the whole store. Only keys greater than `after` are listed. Raises
        Invalid if `prefix` is not a valid key.
        """


class OpenStore(Protocol):
    """Function that opens stores; it is picklable."""

    def __call__(self, place: str, *, make: bool = False) -> ObjectStore:
        """Open the store at an address or path; with `make`, create a missing folder.

        Raises Invalid for an invalid address, StoreNotFound for a missing folder.
        """


def unconditional_error(url: str, got: str) -> Unavailable:
    """Make the error for a store in which one object can overwrite another."""
    return Unavailable(
        f"{url} does not support conditional writes",
        expected="a store that honours If-None-Match: * (S3 since 2024, Ceph, a folder)",
        got=got,
        hint="Publish to another store: here, two writers could overwrite each other's objects",
        reason="conditional_create_unsupported",
    )
