"""Read `.pt` files: plain values at once, tensors or rows of them on request."""

import hashlib
import struct
import zipfile
import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from filmgate.core.digest import sha256_hex
from filmgate.core.errors import Invalid
from filmgate.tools.byte_ranges import ByteRanges, ByteRangesFile
from filmgate.tools.torch_files.pickling import MAX_PICKLE_BYTES, TensorPlace, load_pickle
from filmgate.tools.torch_files.writing import SEAL, SealedMember, read_seal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.generic]

MAX_MEMBERS = 10_000
DIRECTORY_BYTES = 1 << 16
"""Block size for reading the ZIP's central directory, which is at its end, in bytes."""
MAX_TENSOR_BYTES = 4 << 30
MAX_SEAL_BYTES = 1 << 24
LITTLE, ORDER_BYTES = b"little", 16
LOCAL_HEADER = struct.Struct("<4s22sHH")
"""Local file header of a ZIP member: signature, fields that the central directory repeats, lengths
of the name and of the extra field."""


class PtAltered(Invalid):
    """A part of a `.pt` file does not match the file's seal."""

    reason = "pt_altered"


class PtUnreadable(Invalid):
    """A file is not a `.pt` file that this version can read."""

    reason = "pt_unreadable"


class PtFile:
    """A `.pt` file, whose `value` contains `Tensor`s.

    Each tensor is read and verified against the seal on request. Files written by torch have no
    seal; their `digest` is None.
    """

    def __init__(self, source: ByteRanges) -> None:
        """Open a file; raise Invalid if it is not a `.pt` file, or contains values that are not
        plain."""
        self.source = source
        self._members = _directory(source)
        self._seal: Mapping[str, SealedMember] = {}
        self.digest: str | None = None
        if SEAL in self._members:
            self._open_seal()
        if not (data := self._members.get("data.pkl")) or data.file_size > MAX_PICKLE_BYTES:
            raise _unreadable("data.pkl is missing or too large")
        order = self._members.get("byteorder")
        if order is not None and (
            order.file_size > ORDER_BYTES or self._verified("byteorder") != LITTLE
        ):
            raise _unreadable("big-endian numbers")
        self.value: Any = load_pickle(self._verified("data.pkl"), lambda place: Tensor(self, place))

    def _open_seal(self) -> None:
        if self._members[SEAL].file_size > MAX_SEAL_BYTES:
            raise _unreadable("the seal is too large")
        data = bytes(self.read_inflated(SEAL))
        try:
            self._seal = read_seal(data)
        except (ValueError, KeyError, TypeError) as error:
            raise _unreadable(f"the seal cannot be read: {error}") from error
        self.digest = sha256_hex(data)
        sizes = {name: info.file_size for name, info in self._members.items() if name != SEAL}
        sealed_sizes = {name: member["size"] for name, member in self._seal.items()}
        if sizes != sealed_sizes:
            differing = sorted(set(sizes.items()) ^ set(sealed_sizes.items()))[0]
            raise altered_error(differing[0])

    def _verified(self, name: str) -> bytes:
        """Read a member and verify it against the seal."""
        data = bytes(self.read_inflated(name))
        self.check(name, data, slice(None))
        return data

    def check(self, name: str, data: "bytes | memoryview", rows: slice) -> None:
        """Raise Invalid if `data`, the given rows of a member, does not match the seal."""
        if not self._seal:
            return
        expected = self._seal[name]["sha256"][rows]
        step = len(data) // max(1, len(expected))
        for number, digest in enumerate(expected):
            part = data[number * step : (number + 1) * step]
            if hashlib.sha256(part).hexdigest() != digest:
                raise altered_error(name)

    def check_all(self) -> None:
        """Read every member, and raise Invalid if one does not match the seal."""
        for name in self._seal:
            self._verified(name)

    def part_count(self, name: str) -> int:
        """Return the number of equal parts in which a member is sealed."""
        return len(self._seal[name]["sha256"]) if self._seal else 1

    def is_stored(self, name: str) -> bool:
        """Whether a member is stored uncompressed."""
        if name not in self._members:
            raise _unreadable(f"{name} is missing")
        return self._members[name].compress_type == zipfile.ZIP_STORED

    def read_stored(self, name: str, start: int, size: int) -> "memoryview":
        """Read a range of an uncompressed member, without verifying it."""
        info = self._members[name]
        if start + size > info.file_size:
            raise _unreadable(f"{name} is shorter than its tensor")
        return memoryview(self.source.read(self._begin(info) + start, size))

    def read_inflated(self, name: str) -> "memoryview":
        """Read and decompress a whole member, without verifying it."""
        info = self._members[name]
        if info.file_size > MAX_TENSOR_BYTES:
            raise _unreadable(f"{name} claims {info.file_size:,} bytes")
        data = memoryview(self.source.read(self._begin(info), info.compress_size))
        if info.compress_type == zipfile.ZIP_STORED:
            return data
        inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            whole = inflate.decompress(data, info.file_size)
        except zlib.error as error:
            raise _unreadable(f"{name}: {error}") from error
        if len(whole) != info.file_size or inflate.unconsumed_tail:
            raise _unreadable(f"{name} does not have the size in the directory")
        return memoryview(whole)

    def _begin(self, info: zipfile.ZipInfo) -> int:
        """Return the offset of a member's bytes.

        Sealed files have the same extra field in the directory and in the local header, which the
        digests prove; for other files the local header is read.
        """
        if self._seal:
            name_size = len(info.orig_filename.encode())
            return info.header_offset + LOCAL_HEADER.size + name_size + len(info.extra)
        header = memoryview(self.source.read(info.header_offset, LOCAL_HEADER.size))
        signature, _, name_size, extra_size = LOCAL_HEADER.unpack(header)
        if signature != b"PK\x03\x04":
            raise _unreadable(f"{info.filename} is not at its offset in the directory")
        return info.header_offset + LOCAL_HEADER.size + int(name_size) + int(extra_size)


class Tensor:
    """A tensor of an open file; its elements are not in memory until `read`."""

    def __init__(self, file: PtFile, place: TensorPlace) -> None:
        self._file = file
        self._place = place

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of elements along each dimension."""
        return self._place.shape

    @property
    def dtype(self) -> str:
        """numpy's name of the element type."""
        return self._place.storage.dtype

    def read(self, rows: slice = slice(None)) -> "Array":
        """Read the given rows, or all; raise Invalid if they do not match the seal.

        For an uncompressed, mapped file the result is a view of the mapping: do not write to it.
        """
        import numpy as np  # slow to import

        place = self._place
        name = f"data/{place.storage.key}"
        item_size = np.dtype(place.storage.dtype).itemsize
        can_read_rows = self._file.is_stored(name) and self._is_contiguous()
        if not can_read_rows or self._file.part_count(name) != place.shape[0]:
            whole = self._read_all(name, item_size)
            return whole[rows] if place.shape else whole
        start, stop, _ = slice(rows.start, rows.stop).indices(place.shape[0])
        step = item_size * (place.storage.length // place.shape[0])
        data = self._file.read_stored(name, start * step, max(0, stop - start) * step)
        self._file.check(name, data, slice(start, stop))
        numbers = np.frombuffer(data, place.storage.dtype)
        return numbers.reshape(max(0, stop - start), *place.shape[1:])[:: rows.step or 1]

    def _is_contiguous(self) -> bool:
        """Whether the tensor covers its whole storage in row-major order."""
        place = self._place
        count = 1
        for size, step in zip(reversed(place.shape), reversed(place.strides), strict=True):
            if size > 1 and step != count:
                return False
            count *= size
        return bool(place.shape) and place.offset == 0 and 0 < count == place.storage.length

    def _read_all(self, name: str, item_size: int) -> "Array":
        import numpy as np  # slow to import

        place = self._place
        size = place.storage.length * item_size
        if size > MAX_TENSOR_BYTES:
            raise _unreadable(f"{name} claims {size:,} bytes")
        is_stored = self._file.is_stored(name)
        data = (
            self._file.read_stored(name, 0, size) if is_stored else self._file.read_inflated(name)
        )
        if len(data) != size:
            raise _unreadable(f"{name} does not have the size of its tensor")
        self._file.check(name, data, slice(None))
        numbers = np.frombuffer(data, place.storage.dtype)[place.offset :]
        last = sum((n - 1) * step for n, step in zip(place.shape, place.strides, strict=True))
        if 0 not in place.shape and last >= len(numbers):
            raise _unreadable(f"{name} is shorter than its tensor")
        strides = [step * item_size for step in place.strides]
        return np.lib.stride_tricks.as_strided(numbers, place.shape, strides, writeable=False)


def _directory(source: ByteRanges) -> dict[str, zipfile.ZipInfo]:
    """Read the central directory: the members by their name within the archive's one folder."""
    try:
        with zipfile.ZipFile(ByteRangesFile(source, block_bytes=DIRECTORY_BYTES)) as archive:
            infos = archive.infolist()
    except Invalid:
        raise
    except Exception as error:
        raise _unreadable(f"{source.size:,} bytes that are not a ZIP: {error}") from error
    roots = {info.filename.partition("/")[0] for info in infos}
    names = {info.filename.partition("/")[2] for info in infos}
    if len(roots) != 1 or len(names) != len(infos) or len(infos) > MAX_MEMBERS:
        raise _unreadable("members in several folders, duplicate members, or too many")
    return {info.filename.partition("/")[2]: info for info in infos}


def altered_error(what: str) -> PtAltered:
    """Make the error for a part of a file that does not match the seal."""
    return PtAltered(
        f"{what} does not match the file's seal",
        expected="the digest in the seal",
        got="another digest",
        hint="Extract the file again with --no-skip-existing",
    )


def _unreadable(got: str) -> PtUnreadable:
    return PtUnreadable(
        "the .pt file cannot be read",
        expected="a file written by Filmgate or by torch 1.6 or later",
        got=got,
        hint="Extract the file again with --no-skip-existing",
    )
