"""Writing so that a crash leaves the old bytes or the new ones, and never half of either."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePath
from typing import BinaryIO, TypeVar

from filmgate.core.errors import Conflict, Invalid
from filmgate.core.gates import FileFacts

CHUNK_BYTES = 1 << 20


class HashingWriter:
    """Writes to a new file and takes the digest of the bytes as they were intended.

    A digest taken from a second read would certify a write that was lost.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._hash = hashlib.sha256()
        self._size = 0

    def write(self, data: bytes) -> None:
        """Append all of `data`, however often the system writes only a part."""
        view = memoryview(data)
        while view:
            view = view[os.write(self._descriptor, view) :]
        self._hash.update(data)
        self._size += len(data)

    def hurry(self) -> None:
        """Have the system begin to write to the disk what it was given; no promise of it."""
        with suppress(AttributeError, OSError):  # not every system and file system has it
            os.posix_fadvise(self._descriptor, 0, 0, os.POSIX_FADV_DONTNEED)

    @property
    def facts(self) -> FileFacts:
        """What the file holds if the disk kept its word."""
        return FileFacts(size_bytes=self._size, sha256=self._hash.hexdigest())

    def finish(self, *, durable: bool) -> None:
        """Check that the file holds as many bytes as were given, flushed where that is asked."""
        if durable:
            os.fsync(self._descriptor)
        size = os.fstat(self._descriptor).st_size
        if size != self._size:
            raise OSError(f"expected {self._size} bytes on disk, found {size}")


@contextmanager
def new_file(path: Path, *, durable: bool = True) -> Iterator[HashingWriter]:
    """Create `path`, checked when the block ends well and removed when it does not.

    With `durable` its bytes are flushed too; its name is durable only once its folder is synced.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    except FileExistsError as error:
        raise Conflict(f"{path.name} was made already", hint="A file is made once") from error
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
    """Give `path` new contents in one step."""
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
            f"{path} is in the way", expected="a file", got="a folder", hint="Move it away"
        ) from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if durable:
        sync_folder(path.parent)


@contextmanager
def created_only(path: Path, data: bytes) -> Iterator[None]:
    """Make `path` with these bytes, durably, once the block has ended well; Conflict where it
    exists.

    The bytes are on their way to the disk while the block lasts: what it flushes takes them
    along. `link()` is the one call that both names a finished file and refuses to replace another.
    """
    if path.exists():
        raise _is_there(path)
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    draft.unlink(missing_ok=True)
    try:
        with new_file(draft) as writer:
            writer.write(data)
            writer.hurry()
            yield
        link_only(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    sync_folder(path.parent)


def link_only(source: Path, path: Path) -> None:
    """Give a file another name, or raise Conflict where there is something of that name."""
    try:
        os.link(source, path)
    except FileExistsError as error:
        raise _is_there(path) from error


def _is_there(path: Path) -> Conflict:
    return Conflict(f"{path.name} exists already", expected="no file of that name", got="one")


def remove_drafts(folder: Path) -> None:
    """Take away what a dead process left half-named in a folder."""
    with suppress(FileNotFoundError), os.scandir(folder) as found:
        for entry in found:
            if entry.name.startswith(".") and entry.name.endswith(".tmp"):
                Path(entry.path).unlink(missing_ok=True)


def create_only(path: Path, data: bytes) -> None:
    """Make `path` with these bytes, durably, or raise Conflict where it exists."""
    with created_only(path, data):
        pass


def sync_file(path: Path) -> None:
    """Make the bytes of a finished file durable.

    A failure of writing back that nobody was told of yet is told to whoever opens it next.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folders(folder: Path) -> None:
    """Make a folder and all above it, each name durable."""
    if folder.is_dir():
        return
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for each in reversed(missing):
        sync_folder(each.parent)


def stat_mark(path: "str | Path | os.DirEntry[str]") -> tuple[int, ...]:
    """What changes whenever a file's bytes do: device, inode, size, times of change.

    The last of them cannot be set back by anybody. Raises OSError where there is no file.
    """
    stat = os.stat(path)  # noqa: PTH116 - a hot path
    return (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)


def read_bytes(path: Path) -> bytes:
    """All of a file: `Path.read_bytes` without the buffer, which costs more than a small file."""
    with path.open("rb", buffering=0) as file:
        return file.read()


def read_facts(path: Path) -> FileFacts | None:
    """Size and sha256 of a regular file, by reading all of it; None where there is none."""
    try:
        return facts_of(path.open("rb", buffering=0))
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None


def facts_of(file: BinaryIO) -> FileFacts:
    """Size and sha256 of a file, by reading it to its end; closes it."""
    digest, size = hashlib.sha256(), 0
    with file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
    return FileFacts(size_bytes=size, sha256=digest.hexdigest())


def append_line(path: str, line: bytes) -> None:
    """Append one line in one write, so that lines of several writers never mix."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(descriptor, line)
    finally:
        os.close(descriptor)


Root = TypeVar("Root", bound=PurePath)


def inside(root: Root, relative: str) -> Root:
    """`root / relative`, or Invalid where that would leave the root."""
    parts = relative.split("/")
    if not relative.strip("./") or parts[0] == "" or ".." in parts or "\0" in relative:
        raise Invalid(
            "a path leaves its folder", expected="a relative path without ..", got=repr(relative)
        )
    return root / relative
