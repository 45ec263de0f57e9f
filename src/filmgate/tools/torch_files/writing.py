"""Write `.pt` files: a ZIP of stored tensors that `torch.load(weights_only=True)` opens.

The layout is that of torch 1.6 and later: one folder with `data.pkl`, `byteorder`, `data/{n}` for
each storage and `version`. In addition there is `seal.json`, which torch ignores: the digests of
each member, so that a part can be verified without reading the rest. The same value makes the same
bytes.
"""

import hashlib
import json
import zipfile
from collections.abc import Mapping
from typing import IO, TYPE_CHECKING, TypedDict, TypeGuard

from filmgate.core.digest import canonical_json, sha256_hex
from filmgate.tools.torch_files.pickling import STORAGES, Storage, TensorPlace, dump_pickle

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.generic]

ROOT = "archive"
SEAL = "seal.json"
FORMAT = "filmgate.pt"
FORMAT_VERSION = 1
ALIGNMENT = 64
"""Alignment of members in bytes, the same as torch's, so that mapped tensors are aligned."""

EPOCH = (1980, 1, 1, 0, 0, 0)
DEFLATE_LEVEL = 6
MIN_DIMENSIONS_FOR_ROWS = 4
"""Tensors with at least this many dimensions are sealed row by row, so that each frame of a sample
can be verified alone."""


def write_pt(file: IO[bytes], value: Mapping[str, object], *, compress: bool = False) -> str:
    """Write a value to a `.pt` file; return its digest.

    `value`: made of dicts, lists, strings, numbers, booleans, None and numpy arrays. `compress`:
    deflate the tensors. torch can load them, but not map them: `mmap=True` silently treats the
    deflated bytes as numbers. The digest covers the uncompressed contents, and is the same with and
    without compression. Raises TypeError for values of other types and for arrays of types that
    torch has no storage for.
    """
    arrays: list[Array] = []
    data = dump_pickle(value, lambda item: _add_array(item, arrays))
    with zipfile.ZipFile(file, "w", allowZip64=True) as archive:
        writer = _MemberWriter(archive, compress=compress)
        writer.write("data.pkl", data)
        writer.write("byteorder", b"little")
        for key, array in enumerate(arrays):
            content = array.reshape(-1).view("uint8").data
            writer.write(f"data/{key}", content, rows=_row_count(array))
        writer.write("version", b"3\n")
        return writer.write_seal()


def _add_array(value: object, arrays: "list[Array]") -> TensorPlace | None:
    """Append an array to `arrays`, and return its place in a new storage.

    None if the value is not an array that torch has a storage for.
    """
    import numpy as np  # slow to import

    if not isinstance(value, np.ndarray) or value.dtype.name not in STORAGES:
        return None
    array = np.ascontiguousarray(value.astype(value.dtype.newbyteorder("<"), copy=False))
    array = array.reshape(value.shape)
    strides = tuple(step // array.itemsize for step in array.strides)
    arrays.append(array)
    storage = Storage(key=str(len(arrays) - 1), dtype=array.dtype.name, length=array.size)
    return TensorPlace(storage, 0, array.shape, strides)


def _row_count(array: "Array") -> int:
    """Return the number of equal parts in which a tensor is sealed."""
    return len(array) if array.ndim >= MIN_DIMENSIONS_FOR_ROWS and array.size else 1


class SealedMember(TypedDict):
    """What a seal states about one member."""

    size: int
    """Uncompressed size in bytes."""
    sha256: list[str]
    """Digests of its equal parts."""


class _MemberWriter:
    """Writes members to the archive, and records their digests."""

    def __init__(self, archive: zipfile.ZipFile, *, compress: bool) -> None:
        self._archive = archive
        self._compress = compress
        self._members: dict[str, SealedMember] = {}

    def write(self, name: str, data: "bytes | memoryview", *, rows: int = 1) -> None:
        view = memoryview(data)
        step = max(1, len(view) // rows)
        parts = [view[start : start + step] for start in range(0, len(view), step)] or [view]
        self._members[name] = {
            "size": len(view),
            "sha256": [hashlib.sha256(part).hexdigest() for part in parts],
        }
        self._write(name, view, compress=self._compress and name.startswith("data/"))

    def write_seal(self) -> str:
        """Write the seal; return its digest, which covers the digests of all members."""
        sealed = canonical_json(
            {"format": FORMAT, "version": FORMAT_VERSION, "members": self._members}
        )
        self._write(SEAL, sealed, compress=False)
        return sha256_hex(sealed)

    def _write(self, name: str, data: "bytes | memoryview", *, compress: bool) -> None:
        member = zipfile.ZipInfo(f"{ROOT}/{name}", EPOCH)
        member.external_attr = 0o644 << 16
        member.create_system = 3
        if compress:
            member.compress_type = zipfile.ZIP_DEFLATED
        assert self._archive.fp is not None
        begins = self._archive.fp.tell() + 30 + len(member.filename) + 4
        member.extra = b"FB" + (padding := -begins % ALIGNMENT).to_bytes(2, "little")
        member.extra += b"Z" * padding
        level = DEFLATE_LEVEL if compress else None
        self._archive.writestr(member, bytes(data), member.compress_type, level)


def read_seal(data: bytes) -> Mapping[str, SealedMember]:
    """Parse a seal: the members by name.

    Raises ValueError or KeyError if the data is not a seal of this version.
    """
    seal = json.loads(data)
    if not isinstance(seal, dict) or seal.get("format") != FORMAT:
        raise ValueError("not a seal")
    if seal.get("version") != FORMAT_VERSION:
        raise ValueError(f"version {seal.get('version')!r}, not {FORMAT_VERSION}")
    members = seal["members"]
    if not isinstance(members, dict) or not all(map(_is_member, members.values())):
        raise ValueError("sizes or digests of members are missing")
    return members


def _is_member(value: object) -> TypeGuard[SealedMember]:
    return (
        isinstance(value, dict)
        and isinstance(value.get("size"), int)
        and isinstance(value.get("sha256"), list)
        and all(isinstance(digest, str) for digest in value["sha256"])
    )
