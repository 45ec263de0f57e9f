"""List and read members of untrusted TAR archives, without unpacking to disk."""

import tarfile
from collections.abc import Iterator
from typing import NamedTuple

from filmgate.core.errors import Invalid
from filmgate.tools.byte_ranges import MAX_READ_BYTES, ByteRanges, ByteRangesFile, OversizedHeader

MAX_MEMBERS = 10_000
HEADERS_BYTES = 1 << 14
"""Block size for reading headers, in bytes."""

FETCH_AGAIN = "Fetch the archive again: the copy may be incomplete"


class Member(NamedTuple):
    """A file in an archive: its name, and the position and size of its bytes in the archive."""

    name: str
    start: int
    size: int


def members(source: ByteRanges) -> list[Member]:
    """List the regular files of an archive, in file order.

    Only headers are read, and nothing is written. Raises Invalid, with a `reason`, if the data is
    not a TAR archive or is truncated, and for members that no legitimate recorder makes: names
    outside the archive, links, devices, sparse files, sizes beyond the archive's end.
    """
    if source.size == 0:
        raise _refused("the archive is empty", "tar_empty", got="0 bytes", hint=FETCH_AGAIN)
    found = [_checked(entry, source) for entry in _entries(source) if not entry.isdir()]
    names: set[str] = set()
    for member in found:
        if member.name in names:
            raise _refused("a member name occurs twice", "tar_twice", got=repr(member.name))
        names.add(member.name)
    return found


def _entries(source: ByteRanges) -> Iterator[tarfile.TarInfo]:
    count = 0
    try:
        with tarfile.open(
            fileobj=ByteRangesFile(source, block_bytes=HEADERS_BYTES), mode="r:"
        ) as archive:
            for entry in archive:
                count += 1
                if count > MAX_MEMBERS:
                    raise _refused(
                        "the archive has too many members", "tar_too_many", got=str(count)
                    )
                yield entry
            end = archive.offset
        _check_end(source, end, count)
    except OversizedHeader as error:
        raise _refused("a header is too large", "tar_header_bomb", got=error.got) from error
    except RecursionError as error:
        raise _refused("the headers are endless", "tar_header_bomb", got="too many") from error
    except (tarfile.TarError, ValueError, OverflowError, EOFError, OSError) as error:
        if count:
            raise _truncated(f"after {count} members: {error}") from error
        raise _refused(
            "the file is not a TAR archive", "not_a_tar", got=f"{source.size:,} bytes: {error}"
        ) from error
    if not count:
        raise _refused("the archive has no members", "tar_empty", got="no members")


def _check_end(source: ByteRanges, end: int, count: int) -> None:
    """Raise Invalid unless the members are followed by the block of zeros that ends an archive.

    The module `tarfile` does not check this: it treats a broken header as the end.
    """
    block = bytes(source.read(end, max(0, min(tarfile.BLOCKSIZE, source.size - end))))
    if count and (len(block) < tarfile.BLOCKSIZE or block.strip(b"\0")):
        raise _truncated(f"after {count} members, no end of archive at byte {end:,}")


def _checked(entry: tarfile.TarInfo, source: ByteRanges) -> Member:
    """Convert an entry to a member; raise Invalid if it is not a safe regular file."""
    name = entry.name
    while name.startswith("./"):
        name = name[2:].lstrip("/")
    parts = name.split("/")
    if name.startswith(("/", "\\")) or ".." in parts or "\\" in name or name[1:2] == ":":
        raise _refused("a member's path is outside the archive", "tar_traversal", got=ascii(name))
    if not name.isprintable():
        raise _refused("a member's name is not printable", "tar_bad_name", got=ascii(name))
    if entry.issym() or entry.islnk():
        raise _refused("a member is a link", "tar_link", got=f"{name!a} → {entry.linkname!a}")
    if entry.sparse is not None or entry.issparse():
        raise _refused("a member is a sparse file", "tar_sparse", got=ascii(name))
    if not entry.isreg():
        raise _refused("a member is not a regular file", "tar_device", got=ascii(name))
    if entry.size < 0 or entry.offset_data + entry.size > source.size:
        raise _truncated(
            f"{name!a} claims {entry.size:,} bytes, {source.size - entry.offset_data:,} are left"
        )
    return Member(name, entry.offset_data, entry.size)


def read_member(source: ByteRanges, member: Member, *, most: int) -> bytes:
    """Read a small member; raise Invalid if it is larger than `most` bytes or than 64 MiB."""
    if member.size > min(most, MAX_READ_BYTES):
        raise _refused(
            f"{member.name} is too large",
            "member_too_large",
            expected=f"at most {most:,} bytes",
            got=f"{member.size:,}",
        )
    return bytes(source.read(member.start, member.size))


def _truncated(got: str) -> Invalid:
    return _refused("the archive is truncated", "tar_truncated", got=got, hint=FETCH_AGAIN)


def _refused(
    message: str,
    reason: str,
    *,
    got: str | None,
    expected: str = "a TAR archive of regular files",
    hint: str | None = None,
) -> Invalid:
    return Invalid(message, expected=expected, got=got, hint=hint, reason=reason)
