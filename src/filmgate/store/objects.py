"""The port `ObjectStore` on obstore: folders, and buckets that speak S3."""

import hashlib
import io
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast
from uuid import uuid4

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
from filmgate.core.publishing import is_plain_path
from filmgate.store.durable import inside, make_folders, new_file, sync_file, sync_folder

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

    def __init__(self, url: str, store: "S3Store | LocalStore") -> None:
        self.url = url
        self._store = store

    def create(self, key: str, data: bytes | Path, sha256: str | None = None) -> bool:
        """Make an object, or leave the one that is there. A Path goes up in parts."""
        if isinstance(data, Path):
            if self.entry(key) is not None:
                return False
            with self._told(key):
                obstore.put(self._store, key, _verified(data, sha256), chunk_size=PART_BYTES)
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


class FolderObjects(BucketObjects):
    """Objects in a folder, durable before they have their names. Links in it are not followed."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder.as_uri(), LocalStore(folder))
        self._folder = folder

    def create(self, key: str, data: bytes | Path, sha256: str | None = None) -> bool:
        """Make an object, or leave the one that is there."""
        target = self._place(key)
        with self._told(key):
            make_folders(target.parent)
            draft = target.with_name(f".{uuid4().hex}.tmp")
            try:
                with new_file(draft) as file:
                    for chunk in [data] if isinstance(data, bytes) else _verified(data, sha256):
                        file.write(chunk)
                os.link(draft, target)
            except FileExistsError:
                sync_file(target)
                return False
            finally:
                draft.unlink(missing_ok=True)
                if target.parent.is_dir():
                    sync_folder(target.parent)
        return True

    def entry(self, key: str) -> ObjectEntry | None:
        """What is known of an object without reading it."""
        self._check_there()
        self._place(key)
        return super().entry(key)

    def open(self, key: str) -> BinaryIO:
        """Read an object from its start to its end."""
        self._check_there()
        self._place(key)
        return super().open(key)

    def pages(self, prefix: str, after: str | None = None) -> Iterator[list[ObjectEntry]]:
        """All objects below a folder in order of their keys, which a disk does not keep."""
        self._check_there()
        with self._told(prefix):
            found = sorted(self._files(self._folder / prefix))
        wanted = [key for key in found if after is None or key > after]
        for start in range(0, len(wanted), PAGE):
            page = (self.entry(key) for key in wanted[start : start + PAGE])
            yield [entry for entry in page if entry is not None]

    def _files(self, folder: Path) -> Iterator[str]:
        """Keys of the regular files below a folder, but for names that no store takes."""
        for where, _, names in os.walk(folder, onerror=_unless_gone):
            for name in names:
                path = Path(where, name)
                key = path.relative_to(self._folder).as_posix()
                if is_plain_path(key) and path.is_file() and not path.is_symlink():
                    yield key

    def _check_there(self) -> None:
        """A folder that is not mounted is no empty one."""
        if not self._folder.is_dir():
            raise NotFound(
                f"no folder {self._folder}",
                expected="the folder that was there",
                got="none",
                hint="Is its disk mounted?",
            )

    def _place(self, key: str) -> Path:
        """Where an object lies; Invalid where a link leads out of the folder."""
        target = inside(self._folder, key)
        if not target.resolve().is_relative_to(self._folder.resolve()):
            raise Invalid(
                "a link leads out of the store", expected="an object in it", got=repr(key)
            )
        return target


def _unless_gone(error: OSError) -> None:
    """Of a folder that cannot be listed: what was taken away meanwhile is no trouble."""
    if not isinstance(error, FileNotFoundError):
        raise error


def _verified(path: Path, sha256: str | None) -> Iterator[bytes]:
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
