"""Writing `.pt` files: a ZIP of stored tensors that `torch.load(weights_only=True)` opens.

The layout is that of torch 1.6 and later: one folder with `data.pkl`, `byteorder`, `data/{n}` for
each storage and `version`. Ours adds `seal.json`, which torch passes over: the digest of each
member, so that a piece can be trusted without reading the rest. The same value makes the same
bytes.
"""

import hashlib
import json
import zipfile
from collections.abc import Mapping
from typing import IO, TYPE_CHECKING, Any

from filmgate.core.digest import canonical_json, sha256_hex
from filmgate.tools.torch_files.pickling import STORAGES, Storage, TensorPlace, pickled

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.generic]

ROOT = "archive"
SEAL = "seal.json"
FORMAT = "filmgate.pt"
FORMAT_VERSION = 1
ALIGNMENT = 64
"""Bytes; torch's own, so that what is mapped into memory lies well."""

EPOCH = (1980, 1, 1, 0, 0, 0)
DEFLATE_LEVEL = 6
ROWS_FROM = 4
"""Tensors of so many dimensions are sealed by the row: each frame of a sample can be trusted
alone."""


def write_pt(file: IO[bytes], value: Mapping[str, Any], *, compress: bool = False) -> str:
    """Write a value of dicts, lists, texts, numbers, truths and numpy arrays; its digest.

    `compress`: tensors are deflated; torch loads them all the same, but must not map them
    (`mmap=True` takes the deflated bytes for numbers, without a word). The digest is of the
    contents: the same with and without. Raises TypeError for other values and for arrays of types
    that torch has no storage for.
    """
    arrays: list[Array] = []
    data = pickled(value, lambda each: _placed(each, arrays))
    with zipfile.ZipFile(file, "w", allowZip64=True) as archive:
        put = _Putter(archive, compress=compress)
        put("data.pkl", data)
        put("byteorder", b"little")
        for key, array in enumerate(arrays):
            put(f"data/{key}", array.reshape(-1).view("uint8").data, rows=_rows(array))
        put("version", b"3\n")
        return put.seal()


def _placed(value: Any, arrays: "list[Array]") -> TensorPlace | None:
    """A storage of its own for each array; None for what is none."""
    import numpy as np  # heavy

    if not isinstance(value, np.ndarray) or value.dtype.name not in STORAGES:
        return None
    array = np.ascontiguousarray(value.astype(value.dtype.newbyteorder("<"), copy=False))
    array = array.reshape(value.shape)
    strides = tuple(step // array.itemsize for step in array.strides)
    arrays.append(array)
    storage = Storage(key=str(len(arrays) - 1), dtype=array.dtype.name, length=array.size)
    return TensorPlace(storage, 0, array.shape, strides)


def _rows(array: "Array") -> int:
    """In how many equal pieces a tensor is sealed."""
    return len(array) if array.ndim >= ROWS_FROM and array.size else 1


class _Putter:
    """Puts members into the archive, and remembers their digests."""

    def __init__(self, archive: zipfile.ZipFile, *, compress: bool) -> None:
        self._archive = archive
        self._compress = compress
        self._members: dict[str, dict[str, Any]] = {}

    def __call__(self, name: str, data: "bytes | memoryview", *, rows: int = 1) -> None:
        view = memoryview(data)
        step = max(1, len(view) // rows)
        pieces = [view[start : start + step] for start in range(0, len(view), step)] or [view]
        self._members[name] = {
            "size": len(view),
            "sha256": [hashlib.sha256(each).hexdigest() for each in pieces],
        }
        self._write(name, view, compress=self._compress and name.startswith("data/"))

    def seal(self) -> str:
        """Write the seal; the digest of everything, which is the seal's own."""
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


def read_seal(data: bytes) -> Mapping[str, Any]:
    """The members that a seal names, with size and digests; ValueError where it is none."""
    told = json.loads(data)
    if not isinstance(told, dict) or told.get("format") != FORMAT:
        raise ValueError("no seal")
    if told.get("version") != FORMAT_VERSION:
        raise ValueError(f"version {told.get('version')!r}, not {FORMAT_VERSION}")
    members = told["members"]
    if not isinstance(members, dict) or not all(map(_is_member, members.values())):
        raise ValueError("its members have no sizes and digests")
    return members


def _is_member(told: Any) -> bool:
    return (
        isinstance(told, dict)
        and isinstance(told.get("size"), int)
        and isinstance(told.get("sha256"), list)
        and all(isinstance(each, str) for each in told["sha256"])
    )
