"""The port of object stores: folders and buckets, where inputs lie and runs are handed over."""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol

NO_STORE = "no_store"
"""The reason of a NotFound that is not about an object: there is no such bucket, or no folder."""


class ObjectEntry(NamedTuple):
    """An object as a listing tells of it."""

    key: str
    size_bytes: int
    mark: str
    """Changes when the bytes do: an entity tag, or size and time of change."""


class ObjectStore(Protocol):
    """Objects by key, under one address.

    A key is a relative path of `/`-separated names. Every call may be made again after an unknown
    outcome. All raise Unavailable where the store is away or too slow, NotPermitted where it
    refuses, Invalid for a key that is none.
    """

    @property
    def url(self) -> str:
        """Its address, without a slash at its end: `s3://bucket/prefix`, `file:///folder`."""

    def create(self, key: str, data: bytes | Path, sha256: str | None = None) -> bool:
        """Make an object, whole or not at all, or leave the one that is there.

        True where it was made just now; False where one is there already, whatever its bytes.
        Of `bytes`, the store decides between several that try at once. A Path is for what is too
        large for memory: there, only one may try at a time, and Invalid is raised, and nothing
        made, where it does not have the digest `sha256`.
        """

    def entry(self, key: str) -> ObjectEntry | None:
        """What is known of an object without reading it; None where there is none."""

    def open(self, key: str) -> BinaryIO:
        """Read an object from its start to its end; NotFound where there is none."""

    def read(self, key: str, start: int, size: int) -> bytes:
        """At most `size` bytes from `start` on, fewer where the object ends; NotFound where there
        is none."""

    def replace(self, key: str, data: bytes | Path) -> None:
        """Make an object, or give the one that is there other bytes, whole or not at all."""

    def remove(self, key: str) -> None:
        """Take an object away; it is no matter if there is none."""

    def path(self, key: str) -> Path | None:
        """Where an object lies, if that is on this machine; None where it does not."""

    def pages(self, prefix: str, after: str | None = None) -> Iterator[list[ObjectEntry]]:
        """All objects below a folder `prefix` (of the whole store where that is empty),
        recursively, in order of their keys, by the page; only those whose key is greater than
        `after`."""


class OpenStore(Protocol):
    """Opens stores; can travel to other processes."""

    def __call__(self, place: str, *, make: bool = False) -> ObjectStore:
        """The store at an address or path; a folder that is not there is made where `make` says
        so. Raises Invalid for what is no address, NotFound for a folder that is not there."""
