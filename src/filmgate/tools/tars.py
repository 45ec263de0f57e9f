"""TAR archives that are not to be trusted: what is in them, without unpacking anything."""

import tarfile
from collections.abc import Iterator
from typing import NamedTuple

from filmgate.core.errors import Invalid
from filmgate.tools.pieces import MAX_READ_BYTES, Pieces, PiecesFile

MAX_MEMBERS = 10_000
HEADERS_BYTES = 1 << 14
"""Read at a time while headers are looked for."""

FETCH_AGAIN = "If it was copied or recorded, it may be incomplete: fetch it again"


class Member(NamedTuple):
    """A file in an archive: where its bytes lie."""

    name: str
    start: int
    size: int


def members(pieces: Pieces) -> list[Member]:
    """The regular files of an archive, in their order.

    Raises Invalid, with a `reason`, for what is no archive or is cut off, and for members that no
    honest recorder makes: names that lead elsewhere, links, devices, sparse files, sizes beyond
    the archive's end. Nothing is written anywhere, and nothing read but headers.
    """
    if pieces.size == 0:
        raise _refused("it is empty", "tar_empty", got="0 bytes", hint=FETCH_AGAIN)
    found = [_checked(each, pieces) for each in _entries(pieces) if not each.isdir()]
    names: set[str] = set()
    for each in found:
        if each.name in names:
            raise _refused("two members have one name", "tar_twice", got=repr(each.name))
        names.add(each.name)
    return found


def _entries(pieces: Pieces) -> Iterator[tarfile.TarInfo]:
    count = 0
    try:
        with tarfile.open(
            fileobj=PiecesFile(pieces, block_bytes=HEADERS_BYTES), mode="r:"
        ) as archive:
            for entry in archive:
                count += 1
                if count > MAX_MEMBERS:
                    raise _refused("it has too many members", "tar_too_many", got=str(count))
                yield entry
            end = archive.offset
        _check_end(pieces, end, count)
    except Invalid as error:
        if error.extra.get("reason") == "header_bomb":
            raise _refused("a header is too large", "tar_header_bomb", got=error.got) from error
        raise
    except RecursionError as error:
        raise _refused("its headers have no end", "tar_header_bomb", got="too many") from error
    except (tarfile.TarError, ValueError, OverflowError, EOFError, OSError) as error:
        if count:
            raise _cut_off(f"after {count} members: {error}") from error
        raise _refused(
            "it is no TAR archive", "not_a_tar", got=f"{pieces.size:,} bytes: {error}"
        ) from error
    if not count:
        raise _refused("there is nothing in it", "tar_empty", got="no members")


def _check_end(pieces: Pieces, end: int, count: int) -> None:
    """Raise Invalid where members end in anything but the block of zeros that ends an archive:
    the library takes a broken header for the end."""
    left = bytes(pieces.read(end, max(0, min(tarfile.BLOCKSIZE, pieces.size - end))))
    if count and (len(left) < tarfile.BLOCKSIZE or left.strip(b"\0")):
        raise _cut_off(f"after {count} members, at byte {end:,}, no end of the archive")


def _checked(entry: tarfile.TarInfo, pieces: Pieces) -> Member:
    """A member that may be read; Invalid for any other."""
    name = entry.name
    while name.startswith("./"):
        name = name[2:].lstrip("/")
    parts = name.split("/")
    if name.startswith(("/", "\\")) or ".." in parts or "\\" in name or name[1:2] == ":":
        raise _refused("a member's name leads elsewhere", "tar_traversal", got=ascii(name))
    if not name.isprintable():
        raise _refused("a member's name cannot be written down", "tar_bad_name", got=ascii(name))
    if entry.issym() or entry.islnk():
        raise _refused("a member is a link", "tar_link", got=f"{name!a} → {entry.linkname!a}")
    if entry.sparse is not None or entry.issparse():
        raise _refused("a member is a sparse file", "tar_sparse", got=ascii(name))
    if not entry.isreg():
        raise _refused("a member is no file", "tar_device", got=ascii(name))
    if entry.size < 0 or entry.offset_data + entry.size > pieces.size:
        raise _cut_off(
            f"{name!a} claims {entry.size:,} bytes, {pieces.size - entry.offset_data:,} are left"
        )
    return Member(name, entry.offset_data, entry.size)


def read_member(pieces: Pieces, member: Member, *, most: int) -> bytes:
    """A small member, whole; Invalid where it has more than `most` bytes (at most 64 MiB)."""
    if member.size > min(most, MAX_READ_BYTES):
        raise _refused(
            f"{member.name} is too large",
            "member_too_large",
            expected=f"at most {most:,} bytes",
            got=f"{member.size:,}",
        )
    return bytes(pieces.read(member.start, member.size))


def _cut_off(got: str) -> Invalid:
    return _refused("it is cut off", "tar_truncated", got=got, hint=FETCH_AGAIN)


def _refused(
    message: str,
    reason: str,
    *,
    got: str | None,
    expected: str = "a TAR of plain files",
    hint: str | None = None,
) -> Invalid:
    return Invalid(message, expected=expected, got=got, hint=hint, reason=reason)
