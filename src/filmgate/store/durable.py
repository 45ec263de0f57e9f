"""Durable writing: after a crash, a file has the old bytes or the new ones, never a mixture."""

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePath
from typing import BinaryIO, TypeVar

from filmgate.core.errors import Conflict, Invalid
from filmgate.core.gates import FileFacts

CHUNK_BYTES = 1 << 20
"""Size of one read, in bytes."""


class HashingWriter:
    """Writes to a new file, and computes the digest of the bytes that are passed to `write`.

    A digest of bytes that are read back from the file would not detect a lost write.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._hash = hashlib.sha256()
        self.size_bytes = 0
        """Number of bytes that were passed to `write`."""

    def write(self, data: bytes) -> None:
        """Append all of `data`, even if the system writes only a part of it per call."""
        view = memoryview(data)
        while view:
            view = view[os.write(self._descriptor, view) :]
        self._hash.update(data)
        self.size_bytes += len(data)

    def start_writeback(self) -> None:
        """Ask the system to start writing the bytes to disk; a hint without guarantee."""
        with suppress(AttributeError, OSError):  # not supported by every system and file system
            os.posix_fadvise(self._descriptor, 0, 0, os.POSIX_FADV_DONTNEED)

    @property
    def facts(self) -> FileFacts:
        """Size and digest of the bytes that were written."""
        return FileFacts(size_bytes=self.size_bytes, sha256=self._hash.hexdigest())

    def finish(self, *, durable: bool) -> None:
        """Check the size of the file; with `durable`, flush it first.

        Raises OSError if the file does not have as many bytes as were written.
        """
        if durable:
            os.fsync(self._descriptor)
        size = os.fstat(self._descriptor).st_size
        if size != self.size_bytes:
            raise OSError(f"file size is wrong: expected {self.size_bytes} bytes; got {size}")


@contextmanager
def new_file(path: Path, *, durable: bool = True) -> Iterator[HashingWriter]:
    """Create `path`; check its size at the end of the block, or remove it if the block fails.

    With `durable`, its bytes are flushed; its name is durable only after its folder is synced.
    Raises Conflict if it exists.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    except FileExistsError as error:
        raise Conflict(f"{path.name} already exists", hint="Create each file only once") from error
    try:
        writer = HashingWriter(descriptor)
        yield writer
        writer.finish(durable=durable)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)


def replace_file(path: Path, data: bytes, *, durable: bool) -> None:
    """Replace the contents of `path` atomically; raise Invalid if it is a folder."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            writer = HashingWriter(descriptor)
            writer.write(data)
            writer.finish(durable=durable)
        finally:
            os.close(descriptor)
        temporary.replace(path)
    except IsADirectoryError as error:
        temporary.unlink(missing_ok=True)
        raise Invalid(
            f"{path} is not a file", expected="a file", got="a folder", hint="Move the folder away"
        ) from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if durable:
        sync_folder(path.parent)


@contextmanager
def create_exclusive(path: Path, data: bytes) -> Iterator[None]:
    """Create `path` with these bytes, durably, after the block ends without an exception.

    The bytes are written to disk during the block, so that a flush in the block includes them.
    `link()` is the only call that both names a finished file and refuses to replace another.
    Raises Conflict if the file exists.
    """
    if path.exists():
        raise _already_exists(path)
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    draft.unlink(missing_ok=True)
    try:
        with new_file(draft) as writer:
            writer.write(data)
            writer.start_writeback()
            yield
        link_exclusive(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    sync_folder(path.parent)


def link_exclusive(source: Path, path: Path) -> None:
    """Give a file another name; raise Conflict if that name exists."""
    try:
        os.link(source, path)
    except FileExistsError as error:
        raise _already_exists(path) from error


def _already_exists(path: Path) -> Conflict:
    return Conflict(f"{path.name} already exists", expected="no file with that name", got="a file")


def remove_drafts(folder: Path) -> None:
    """Remove the temporary files that a dead process left in a folder."""
    with suppress(FileNotFoundError), os.scandir(folder) as found:
        for entry in found:
            if entry.name.startswith(".") and entry.name.endswith(".tmp"):
                Path(entry.path).unlink(missing_ok=True)


def create_only(path: Path, data: bytes) -> None:
    """Create `path` with these bytes, durably; raise Conflict if it exists."""
    with create_exclusive(path, data):
        pass


def sync_file(path: Path) -> None:
    """Make the bytes of a finished file durable; raise OSError if they were not written.

    The system reports an earlier write-back error, unless it was reported before, to the next
    process that opens the file.
    """
    _sync(path, os.O_RDONLY)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    _sync(folder, os.O_RDONLY | os.O_DIRECTORY)


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folders(folder: Path) -> None:
    """Create a folder and its parents, each name durable."""
    if folder.is_dir():
        return
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for path in reversed(missing):
        sync_folder(path.parent)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock on a file, which is created if needed, against other threads and processes."""
    with path.open("a+b") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def stat_identity(path: "str | Path | os.DirEntry[str]") -> tuple[int, ...]:
    """Device, inode, size, modification and change time of a file; new bytes change them.

    The change time cannot be set by a program. Raises OSError if the file does not exist.
    """
    stat = os.stat(path)  # noqa: PTH116 - a hot path
    return (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)


def read_bytes(path: Path) -> bytes:
    """Read a file without a buffer; that of `Path.read_bytes` costs more than a small file."""
    with path.open("rb", buffering=0) as file:
        return file.read()


def read_facts(path: Path) -> FileFacts | None:
    """Read a regular file, and return its size and sha256; None if the file does not exist."""
    try:
        return read_stream_facts(path.open("rb", buffering=0))
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None


def read_stream_facts(file: BinaryIO) -> FileFacts:
    """Read an open file to its end, close it, and return its size and sha256."""
    digest, size = hashlib.sha256(), 0
    with file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
    return FileFacts(size_bytes=size, sha256=digest.hexdigest())


def append_line(path: str, line: bytes) -> None:
    """Append one line with a single write, so that lines of several writers never mix."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(descriptor, line)
    finally:
        os.close(descriptor)


Root = TypeVar("Root", bound=PurePath)


def safe_join(root: Root, relative: str) -> Root:
    """Return `root / relative`; raise Invalid if that is not inside the root."""
    parts = relative.split("/")
    if not relative.strip("./") or parts[0] == "" or ".." in parts or "\0" in relative:
        raise Invalid(
            "the path is not inside its folder",
            expected="a relative path without ..",
            got=repr(relative),
        )
    return root / relative
