"""Reading `.pt` files by the piece: values at once, tensors when they are asked for."""

import hashlib
import struct
import zipfile
import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from filmgate.core.digest import sha256_hex
from filmgate.core.errors import Invalid
from filmgate.tools.pieces import Pieces, PiecesFile
from filmgate.tools.torch_files.pickling import MAX_PICKLE_BYTES, TensorPlace, unpickled
from filmgate.tools.torch_files.writing import SEAL, read_seal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.generic]

MAX_MEMBERS = 10_000
DIRECTORY_BYTES = 1 << 16
"""Read at a time while the directory is looked for, which is at the end."""
MAX_TENSOR_BYTES = 4 << 30
MAX_SEAL_BYTES = 1 << 24
LITTLE, ORDER_BYTES = b"little", 16
LOCAL_HEADER = struct.Struct("<4s22sHH")
"""Of a ZIP's member: signature, what the directory says better, lengths of name and extra."""

ALTERED = "pt_altered"
UNREADABLE = "pt_unreadable"
UNSEALED = "pt_unsealed"


class PtFile:
    """A `.pt` file. Tensors in `value` are `Tensor`s, read and held against the seal one by one.

    Files of torch itself are read too: they have no seal, and `digest` is None.
    """

    def __init__(self, pieces: Pieces) -> None:
        """Raises Invalid where it is no `.pt` file, or holds what is not plain."""
        self.pieces = pieces
        self._members = _directory(pieces)
        self._seal: Mapping[str, Any] = {}
        self.digest: str | None = None
        if SEAL in self._members:
            self._open_seal()
        if not (data := self._members.get("data.pkl")) or data.file_size > MAX_PICKLE_BYTES:
            raise _unreadable("no data.pkl in it, or one too large")
        order = self._members.get("byteorder")
        if order is not None and (
            order.file_size > ORDER_BYTES or self._whole("byteorder") != LITTLE
        ):
            raise _unreadable("numbers with their highest byte first")
        self.value = unpickled(self._whole("data.pkl"), lambda place: Tensor(self, place))

    def _open_seal(self) -> None:
        if self._members[SEAL].file_size > MAX_SEAL_BYTES:
            raise _unreadable("a seal that is too large")
        data = bytes(self._bytes(SEAL))
        try:
            self._seal = read_seal(data)
        except (ValueError, KeyError, TypeError) as error:
            raise _unreadable(f"its seal cannot be read: {error}") from error
        self.digest = sha256_hex(data)
        there = {name: info.file_size for name, info in self._members.items() if name != SEAL}
        sealed = {name: told["size"] for name, told in self._seal.items()}
        if there != sealed:
            differs = sorted(set(there.items()) ^ set(sealed.items()))[0]
            raise altered(differs[0])

    def _whole(self, name: str) -> bytes:
        """A member, held against the seal."""
        data = bytes(self._bytes(name))
        self.check(name, data, slice(None))
        return data

    def check(self, name: str, data: "bytes | memoryview", rows: slice) -> None:
        """Raise Invalid where a member, or these pieces of it, are not what was sealed."""
        if not self._seal:
            return
        sealed: list[str] = self._seal[name]["sha256"]
        of_these = sealed[rows]
        step = len(data) // max(1, len(of_these))
        for number, wanted in enumerate(of_these):
            piece = data[number * step : (number + 1) * step]
            if hashlib.sha256(piece).hexdigest() != wanted:
                raise altered(name)

    def check_all(self) -> None:
        """Read every member, and raise Invalid where one is not what was sealed."""
        for name in self._seal:
            self._whole(name)

    def pieces_of(self, name: str) -> int:
        """In how many pieces a member is sealed."""
        return len(self._seal[name]["sha256"]) if self._seal else 1

    def is_stored(self, name: str) -> bool:
        """Whether a member lies in the file as it is, not compressed."""
        if name not in self._members:
            raise _unreadable(f"no {name} in it")
        return self._members[name].compress_type == zipfile.ZIP_STORED

    def stored(self, name: str, start: int, size: int) -> "memoryview":
        """A piece of a member that is stored."""
        info = self._members[name]
        if start + size > info.file_size:
            raise _unreadable(f"{name} is shorter than its tensor")
        return memoryview(self.pieces.read(self._begin(info) + start, size))

    def _bytes(self, name: str) -> "memoryview":
        info = self._members[name]
        if info.file_size > MAX_TENSOR_BYTES:
            raise _unreadable(f"{name} claims {info.file_size:,} bytes")
        data = memoryview(self.pieces.read(self._begin(info), info.compress_size))
        if info.compress_type == zipfile.ZIP_STORED:
            return data
        inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            whole = inflate.decompress(data, info.file_size)
        except zlib.error as error:
            raise _unreadable(f"{name}: {error}") from error
        if len(whole) != info.file_size or inflate.unconsumed_tail:
            raise _unreadable(f"{name} is not as long as it says")
        return memoryview(whole)

    def inflated(self, name: str) -> "memoryview":
        """A compressed member, whole."""
        return self._bytes(name)

    def _begin(self, info: zipfile.ZipInfo) -> int:
        """Where a member's bytes begin. Ours have the same extra field in the directory and
        before their bytes, which the digests prove; of others it has to be asked."""
        if self._seal:
            named = len(info.orig_filename.encode())
            return info.header_offset + LOCAL_HEADER.size + named + len(info.extra)
        header = memoryview(self.pieces.read(info.header_offset, LOCAL_HEADER.size))
        signature, _, name, extra = LOCAL_HEADER.unpack(header)
        if signature != b"PK\x03\x04":
            raise _unreadable(f"{info.filename} is not where the directory says")
        return info.header_offset + LOCAL_HEADER.size + int(name) + int(extra)


class Tensor:
    """A tensor of a file that is open; nothing of it is in memory until `read`."""

    def __init__(self, file: PtFile, place: TensorPlace) -> None:
        self._file = file
        self._place = place

    @property
    def shape(self) -> tuple[int, ...]:
        """How many in each direction."""
        return self._place.shape

    @property
    def dtype(self) -> str:
        """numpy's name of the type."""
        return self._place.storage.dtype

    def read(self, rows: slice = slice(None)) -> "Array":
        """The numbers, of some rows or all; Invalid where they are not what was sealed.

        Of a file that is mapped and not compressed, nothing is copied; do not write to it.
        """
        import numpy as np  # heavy

        place = self._place
        name = f"data/{place.storage.key}"
        item = np.dtype(place.storage.dtype).itemsize
        is_apart = self._file.is_stored(name) and self._is_plain()
        if not is_apart or self._file.pieces_of(name) != place.shape[0]:
            whole = self._all(name, item)
            return whole[rows] if place.shape else whole
        start, stop, _ = slice(rows.start, rows.stop).indices(place.shape[0])
        step = item * (place.storage.length // place.shape[0])
        data = self._file.stored(name, start * step, max(0, stop - start) * step)
        self._file.check(name, data, slice(start, stop))
        numbers = np.frombuffer(data, place.storage.dtype)
        return numbers.reshape(max(0, stop - start), *place.shape[1:])[:: rows.step or 1]

    def _is_plain(self) -> bool:
        """Whether it is all of its storage, row by row."""
        place = self._place
        count = 1
        for size, step in zip(reversed(place.shape), reversed(place.strides), strict=True):
            if size > 1 and step != count:
                return False
            count *= size
        return bool(place.shape) and place.offset == 0 and 0 < count == place.storage.length

    def _all(self, name: str, item: int) -> "Array":
        import numpy as np  # heavy

        place = self._place
        size = place.storage.length * item
        if size > MAX_TENSOR_BYTES:
            raise _unreadable(f"{name} claims {size:,} bytes")
        is_stored = self._file.is_stored(name)
        data = self._file.stored(name, 0, size) if is_stored else self._file.inflated(name)
        if len(data) != size:
            raise _unreadable(f"{name} is not as long as its tensor")
        self._file.check(name, data, slice(None))
        numbers = np.frombuffer(data, place.storage.dtype)[place.offset :]
        last = sum((n - 1) * step for n, step in zip(place.shape, place.strides, strict=True))
        if 0 not in place.shape and last >= len(numbers):
            raise _unreadable(f"{name} is shorter than its tensor")
        strides = [step * item for step in place.strides]
        return np.lib.stride_tricks.as_strided(numbers, place.shape, strides, writeable=False)


def _directory(pieces: Pieces) -> dict[str, zipfile.ZipInfo]:
    """The members by name below their one folder."""
    try:
        with zipfile.ZipFile(PiecesFile(pieces, block_bytes=DIRECTORY_BYTES)) as archive:
            infos = archive.infolist()
    except Invalid:
        raise
    except Exception as error:
        raise _unreadable(f"{pieces.size:,} bytes that are no ZIP: {error}") from error
    roots = {info.filename.partition("/")[0] for info in infos}
    names = {info.filename.partition("/")[2] for info in infos}
    if len(roots) != 1 or len(names) != len(infos) or len(infos) > MAX_MEMBERS:
        raise _unreadable("members in several folders, twice, or too many")
    return {info.filename.partition("/")[2]: info for info in infos}


def altered(what: str) -> Invalid:
    """A part of a file is not what it was sealed with."""
    return Invalid(
        f"{what} is not what it was when the file was made",
        expected="the digest that the file was sealed with",
        got="another",
        hint="Extract it again: --no-skip-existing",
        reason=ALTERED,
    )


def _unreadable(got: str) -> Invalid:
    return Invalid(
        "this is no .pt file that can be read",
        expected="a file of torch 1.6 or later, or one of ours",
        got=got,
        hint="Extract it again: --no-skip-existing",
        reason=UNREADABLE,
    )
