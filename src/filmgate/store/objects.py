"""The port `ObjectStore` on obstore: buckets that speak S3."""

import hashlib
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    PermissionDeniedError,
    UnauthenticatedError,
)
from obstore.store import S3Store

from filmgate.core.errors import FilmgateError, Invalid, NotFound, NotPermitted, Unavailable
from filmgate.core.objects import NO_STORE, ObjectEntry

if TYPE_CHECKING:
    from collections.abc import Buffer  # type: ignore[attr-defined,unused-ignore]

    from obstore import ObjectMeta

PAGE = 1000
"""Keys a request of a listing, at most; S3 gives no more."""

CHUNK_BYTES = 1 << 20
PART_BYTES = 8 << 20
"""Of what goes up in parts."""
LONGEST_SAID = 300
DENIED = (PermissionDeniedError, UnauthenticatedError, PermissionError)


class BucketObjects:
    """Objects in a bucket that speaks S3, below a prefix."""

    def __init__(self, url: str, store: S3Store) -> None:
        self.url = url
        self._store = store

    def create(self, key: str, data: bytes | Path, sha256: str | None = None) -> bool:
        """Make an object, or leave the one that is there. A Path goes up in parts."""
        if isinstance(data, Path):
            if self.entry(key) is not None:
                return False
            with self._told(key):
                obstore.put(self._store, key, verified_parts(data, sha256), chunk_size=PART_BYTES)
            return True
        with self._told(key):
            try:
                obstore.put(self._store, key, data, mode="create")
            except AlreadyExistsError:
                return False
        return True

    def replace(self, key: str, data: bytes | Path) -> None:
        """Make an object, or give the one that is there other bytes. A Path goes up in parts."""
        with self._told(key):
            obstore.put(self._store, key, data, chunk_size=PART_BYTES)

    def read(self, key: str, start: int, size: int) -> bytes:
        """A piece of an object: one request."""
        if size <= 0:
            return b""
        try:
            with self._told(key):
                return bytes(obstore.get_range(self._store, key, start=start, length=size))
        except Unavailable:
            entry = self.entry(key)  # servers refuse a range that begins behind the end
            if entry is not None and start >= entry.size_bytes:
                return b""
            raise

    def remove(self, key: str) -> None:
        """Take the object away."""
        with suppress(NotFound), self._told(key):
            obstore.delete(self._store, key)

    def path(self, key: str) -> Path | None:  # noqa: ARG002 - the port's form
        """It is elsewhere."""
        return None

    def entry(self, key: str) -> ObjectEntry | None:
        """What is known of an object without reading it."""
        try:
            with self._told(key):
                return _entry(obstore.head(self._store, key))
        except NotFound:
            return None

    def open(self, key: str) -> BinaryIO:
        """Read an object from its start to its end."""
        with self._told(key):
            chunks = iter(obstore.get(self._store, key).stream(min_chunk_size=CHUNK_BYTES))
        return cast("BinaryIO", io.BufferedReader(_Chunks(self._translated(key, chunks))))

    def pages(self, prefix: str, after: str | None = None) -> Iterator[list[ObjectEntry]]:
        """All objects below a folder in order of their keys, by the page."""
        with self._told(prefix):
            pages = obstore.list(
                self._store, f"{prefix}/" if prefix else None, offset=after, chunk_size=PAGE
            )
            for page in pages:
                yield [_entry(each) for each in page]

    def _translated(self, key: str, chunks: "Iterator[Buffer]") -> "Iterator[Buffer]":
        with self._told(key):
            yield from chunks

    @contextmanager
    def _told(self, key: str) -> Iterator[None]:
        """What the library says of an object, in the product's words."""
        try:
            yield
        except FilmgateError:
            raise
        except (BaseError, OSError, ValueError) as error:
            raise self._in_our_words(key, error) from error

    def _in_our_words(self, key: str, error: Exception) -> FilmgateError:
        said = str(error).partition("\n\nDebug source")[0].replace("\n", " ")
        said = _TRIES.sub("", said.removeprefix("Generic S3 error: "))[:LONGEST_SAID]
        if "NoSuchBucket" in str(error):
            return NotFound(
                f"there is no bucket for {self.url}",
                expected="a bucket that exists",
                got=said,
                hint="Make it, or mend the address or FILMGATE_S3_ENDPOINT",
                reason=NO_STORE,
            )
        if isinstance(error, FileNotFoundError):
            return NotFound(f"no {key} in {self.url}", expected="an object", got="none")
        if isinstance(error, DENIED) or _status(said) in {"401", "403"}:
            return NotPermitted(
                f"{self.url} may not be used",
                got=said,
                hint="Check the credentials, and what they allow (FILMGATE_S3_AUTH)",
            )
        if _status(said) == "501":
            return Unavailable(
                f"{self.url} cannot make an object only where there is none",
                expected="a store that honours If-None-Match: * (S3 since 2024, Ceph, a folder)",
                got=said,
                hint="Publish to another; two writers could overwrite each other here",
                reason="conditional_create_unsupported",
            )
        if isinstance(error, ValueError):
            return Invalid("this is no key of an object", expected="a/relative/path", got=repr(key))
        return Unavailable(
            f"{self.url} does not answer as it should",
            got=said,
            hint="Check that it is there (FILMGATE_S3_ENDPOINT), and try again; nothing was "
            "half-written",
        )


def verified_parts(path: Path, sha256: str | None) -> Iterator[bytes]:
    """The parts of a file; where it is not what it should be, the last is not given, so that
    nothing is made of the others."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        part = file.read(PART_BYTES)
        while following := file.read(PART_BYTES):
            digest.update(part)
            yield part
            part = following
        digest.update(part)
    if sha256 is not None and digest.hexdigest() != sha256:
        raise ChangedMeanwhile(path.name)
    yield part


class ChangedMeanwhile(Invalid):
    """A file is not what it was when it was looked at."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name} changed on its way",
            expected="the bytes that the manifest names",
            got="others",
            hint="Restore it; nothing was made of it",
        )


class _Chunks(io.RawIOBase):
    """Chunks as a file."""

    def __init__(self, chunks: "Iterator[Buffer]") -> None:
        self._chunks = chunks
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """As much as there is of a chunk."""
        if not self._rest:
            self._rest = memoryview(next(self._chunks, b""))
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


_TRIES = re.compile(r" in [\d.]+m?s(, after \d+ retries, max_retries: \d+, retry_timeout: \d+s)?")
"""How long the library tried is noise."""


def _status(said: str) -> str | None:
    """The status that a server answered with, where the library only tells it in words."""
    found = re.search(r"status code: (\d{3})", said)
    return found.group(1) if found else None


def _entry(found: "ObjectMeta") -> ObjectEntry:
    tag = found["e_tag"] or found["last_modified"].isoformat()
    return ObjectEntry(key=found["path"], size_bytes=found["size"], mark=tag)
