"""The port `ObjectStore` on obstore: folders, and buckets that speak S3."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    PermissionDeniedError,
    UnauthenticatedError,
)
from obstore.store import LocalStore, S3Store

from filmgate.core.errors import FilmgateError, Invalid, NotFound, NotPermitted, Unavailable
from filmgate.core.objects import ObjectEntry
from filmgate.store.durable import inside, make_folders, sync_file, sync_folder

if TYPE_CHECKING:
    from collections.abc import Buffer  # type: ignore[attr-defined,unused-ignore]

    from obstore import ObjectMeta

PAGE = 1000
"""Keys a request of a listing, at most; S3 gives no more."""

CHUNK_BYTES = 1 << 20
LONGEST_SAID = 300


class BucketObjects:
    """Objects in a bucket that speaks S3, below a prefix."""

    def __init__(self, url: str, store: "S3Store | LocalStore") -> None:
        self.url = url
        self._store = store

    def create(self, key: str, data: bytes | Path) -> bool:
        """Make an object, or leave the one that is there. A Path goes up in parts."""
        if isinstance(data, Path):
            if self.entry(key) is not None:
                return False
            with self._told(key):
                obstore.put(self._store, key, data)
            return True
        with self._told(key):
            try:
                obstore.put(self._store, key, data, mode="create")
            except AlreadyExistsError:
                return False
        return True

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
            pages = obstore.list(self._store, f"{prefix}/", offset=after, chunk_size=PAGE)
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
        except (BaseError, OSError, ValueError) as error:
            raise self._in_our_words(key, error) from error

    def _in_our_words(self, key: str, error: Exception) -> FilmgateError:
        said = str(error).partition("\n\nDebug source")[0].replace("\n", " ")[:LONGEST_SAID]
        if "NoSuchBucket" in str(error):
            return NotFound(
                f"there is no bucket for {self.url}",
                expected="a bucket that exists",
                got=said,
                hint="Make it, or mend the address or FILMGATE_S3_ENDPOINT",
            )
        if isinstance(error, FileNotFoundError):
            return NotFound(f"no {key} in {self.url}", expected="an object", got="none")
        if isinstance(error, PermissionDeniedError | UnauthenticatedError | PermissionError):
            return NotPermitted(
                f"{self.url} may not be used",
                got=said,
                hint="Check the credentials, and what they allow (FILMGATE_S3_AUTH)",
            )
        if isinstance(error, ValueError):
            return Invalid("this is no key of an object", expected="a/relative/path", got=repr(key))
        return Unavailable(
            f"{self.url} does not answer as it should",
            got=said,
            hint="Try again when it is back; nothing was half-written",
        )


class FolderObjects(BucketObjects):
    """Objects in a folder, durable once they are made."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder.as_uri(), LocalStore(folder))
        self._folder = folder

    def create(self, key: str, data: bytes | Path) -> bool:
        """Make an object, or leave the one that is there."""
        target = inside(self._folder, key)
        make_folders(target.parent)
        is_made = super().create(key, data)
        if is_made:
            sync_file(target)
            sync_folder(target.parent)
        return is_made

    def pages(self, prefix: str, after: str | None = None) -> Iterator[list[ObjectEntry]]:
        """All objects below a folder in order of their keys, which a disk does not keep."""
        found = sorted(each for page in super().pages(prefix) for each in page)
        wanted = [each for each in found if after is None or each.key > after]
        for start in range(0, len(wanted), PAGE):
            yield wanted[start : start + PAGE]


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


def _entry(found: "ObjectMeta") -> ObjectEntry:
    tag = found["e_tag"] or found["last_modified"].isoformat()
    return ObjectEntry(key=found["path"], size_bytes=found["size"], mark=tag)
