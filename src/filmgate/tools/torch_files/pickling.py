"""Read and write the pickle inside a `.pt` file: plain values and tensors only.

It is written opcode by opcode (protocol 2), because a pickler would have to import torch to refer
to torch's names. It is read by an unpickler that only knows the names below; any other name is
refused before an object is made.
"""

import io
import pickle
import pickletools
import struct
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from filmgate.core.errors import Invalid

MAX_DEPTH = 64
MAX_PICKLE_BYTES = 64 << 20
"""Largest size of a pickle, which excludes the tensors' bytes."""

STORAGES = {
    "uint8": "ByteStorage",
    "int8": "CharStorage",
    "int16": "ShortStorage",
    "int32": "IntStorage",
    "int64": "LongStorage",
    "float16": "HalfStorage",
    "float32": "FloatStorage",
    "float64": "DoubleStorage",
    "bool": "BoolStorage",
}
"""numpy's type name → the name of torch's storage class."""

REFUSED = "pickle_refused"
PLAIN_VALUES = "tensors, strings, numbers, lists and dicts"


class Storage(NamedTuple):
    """A sequence of numbers in the file: the member `data/{key}`.

    It is a tuple, so that a pickle cannot change it once it is made.
    """

    key: str
    dtype: str
    length: int
    """Number of elements."""


class TensorPlace(NamedTuple):
    """Location of a tensor's elements in a storage."""

    storage: Storage
    offset: int
    """Index of the first element in the storage, in elements."""
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    """Distance between neighbours along each dimension, in elements."""


def dump_pickle(value: object, place_of: Callable[[object], TensorPlace | None]) -> bytes:
    """Pickle a value made of dicts, lists, strings, numbers, booleans, None and tensors.

    `place_of` returns the place of a tensor, and None for a value that is not a tensor. Raises
    TypeError for values of other types, and for dict keys that are not strings.
    """
    out = bytearray(b"\x80\x02")
    _write_value(out, value, place_of, 0)
    return bytes(out + b".")


def _write_value(
    out: bytearray, value: object, place_of: Callable[[object], TensorPlace | None], depth: int
) -> None:
    if depth > MAX_DEPTH:
        raise TypeError("values are nested too deeply")
    if value is None or isinstance(value, bool | int | float | str):
        out += _encode_scalar(value)
    elif isinstance(value, Mapping):
        out += b"}("
        for key, item in value.items():
            if not isinstance(key, str):
                raise TypeError(f"expected a string as key, got {key!r}")
            out += _encode_text(key)
            _write_value(out, item, place_of, depth + 1)
        out += b"u"
    elif isinstance(value, list | tuple):
        out += b"]("
        for item in value:
            _write_value(out, item, place_of, depth + 1)
        out += b"e"
    elif (place := place_of(value)) is not None:
        out += _encode_tensor(place)
    else:
        raise TypeError(f"{type(value).__name__} cannot be written to a .pt file")


def _encode_scalar(value: bool | float | str | None) -> bytes:
    if value is None or isinstance(value, bool):
        return {None: b"N", True: b"\x88", False: b"\x89"}[value]
    if isinstance(value, int):
        return _encode_int(value)
    return b"G" + struct.pack(">d", value) if isinstance(value, float) else _encode_text(value)


def _encode_text(text: str) -> bytes:
    data = text.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def _encode_int(number: int) -> bytes:
    if -(1 << 31) <= number < 1 << 31:
        return b"J" + struct.pack("<i", number)
    size = (number.bit_length() + 8) // 8
    if size > 255:  # noqa: PLR2004 - the largest length in one byte
        raise TypeError("the number is too large")
    return b"\x8a" + bytes([size]) + number.to_bytes(size, "little", signed=True)


def _encode_tensor(place: TensorPlace) -> bytes:
    """Encode a call of `torch._utils._rebuild_tensor_v2`.

    Its arguments are `(storage, offset, shape, strides, False, OrderedDict())`.
    """
    storage = place.storage
    class_name = b"ctorch\n" + STORAGES[storage.dtype].encode() + b"\n"
    parts = [
        b"ctorch._utils\n_rebuild_tensor_v2\n((",
        _encode_text("storage"),
        class_name,
        _encode_text(storage.key),
        _encode_text("cpu"),
        _encode_int(storage.length),
        b"tQ",
        _encode_int(place.offset),
        b"(" + b"".join(map(_encode_int, place.shape)) + b"t",
        b"(" + b"".join(map(_encode_int, place.strides)) + b"t",
        b"\x89ccollections\nOrderedDict\n)RtR",
    ]
    return b"".join(parts)


class _StorageClass(NamedTuple):
    """Placeholder for one of torch's storage classes, which is never imported."""

    dtype: str


class _RestrictedUnpickler(pickle.Unpickler):
    """An unpickler that only knows tensors and plain types, and refuses any other name."""

    def find_class(self, module: str, name: str) -> object:
        """Return the replacement for a global name; raise Invalid for an unknown one."""
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _make_place
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if module == "torch" and name in _DTYPE_OF_STORAGE:
            return _StorageClass(_DTYPE_OF_STORAGE[name])
        raise Invalid(
            f"the file requires {module}.{name}",
            expected=PLAIN_VALUES,
            got=f"{module}.{name}",
            hint="Do not load the file with a general unpickler: it may be malicious",
            reason=REFUSED,
        )

    def persistent_load(self, pid: object) -> Storage:
        """Return the storage that a persistent id refers to."""
        match pid:
            case ("storage", _StorageClass(dtype), str(key), str(), int(count)) if count >= 0:
                return Storage(key=key, dtype=dtype, length=count)
        raise _refused(f"a reference that is a {type(pid).__name__}")


_DTYPE_OF_STORAGE = {name: dtype for dtype, name in STORAGES.items()}


def _make_place(
    storage: object, offset: object, shape: object, strides: object, *_rest: object
) -> TensorPlace:
    """Make the place of a tensor; the unpickler calls this instead of `_rebuild_tensor_v2`."""
    if not (isinstance(storage, Storage) and isinstance(offset, int) and _are_sizes([offset])):
        raise _refused("a tensor without a storage")
    if not (isinstance(shape, tuple) and isinstance(strides, tuple)):
        raise _refused("a tensor without a shape")
    if len(shape) != len(strides) or not (_are_sizes(shape) and _are_sizes(strides)):
        raise _refused("a tensor whose shape and strides do not match, or are not sizes")
    last = sum((size - 1) * step for size, step in zip(shape, strides, strict=True))
    if 0 not in shape and offset + last >= storage.length:
        raise _refused("a tensor that extends beyond its storage")
    return TensorPlace(storage, offset, shape, strides)


def _are_sizes(numbers: Iterable[object]) -> bool:
    return all(isinstance(number, int) and 0 <= number < 1 << 48 for number in numbers)


def load_pickle(
    data: bytes, make_tensor: Callable[[TensorPlace], object] = lambda place: place
) -> object:
    """Unpickle a value, with the result of `make_tensor` for every tensor.

    Raises Invalid unless the value consists of plain types and tensors. The result is checked
    again after unpickling, because a pickle can put an allowed object in a wrong place, such as
    a storage where a tensor is expected.
    """
    if len(data) > MAX_PICKLE_BYTES:
        raise _refused(f"a pickle of {len(data):,} bytes without its tensors")
    try:
        _check_memo(data)
        value = _RestrictedUnpickler(io.BytesIO(data)).load()
    except Invalid:
        raise
    except Exception as error:
        raise _refused(f"{type(error).__name__}: {error}"[:200]) from error
    return _PlainValues(make_tensor).convert(value, 0)


MAX_VALUES = 2_000_000
"""Maximum number of values in a file. A pickle of a hundred bytes can repeat a nested list a
billion times."""


def _check_memo(data: bytes) -> None:
    """Raise ValueError for a memo index larger than the pickle.

    No legitimate pickle has such an index, and the unpickler allocates a table up to the largest
    one.
    """
    for opcode, argument, _ in pickletools.genops(data):
        is_put = opcode.name in {"BINPUT", "LONG_BINPUT", "PUT"}
        if is_put and not 0 <= int(argument or 0) <= len(data):
            raise ValueError(f"memo index {argument}")


class _PlainValues:
    """Checks that a value consists of plain types, and replaces tensor places by tensors."""

    def __init__(self, make_tensor: Callable[[TensorPlace], object]) -> None:
        self._make_tensor = make_tensor
        self._remaining = MAX_VALUES

    def convert(self, value: object, depth: int) -> object:
        self._remaining -= 1
        if depth > MAX_DEPTH or self._remaining < 0:
            raise _refused("values nested too deeply, or too many of them")
        kind = type(value)
        if value is None or kind in _SCALARS:
            return value
        if type(value) is TensorPlace:
            return self._make_tensor(value)
        if isinstance(value, dict) and kind in {dict, OrderedDict}:
            if not all(type(key) is str for key in value):
                raise _refused("a dict with keys that are not strings")
            return {key: self.convert(item, depth + 1) for key, item in value.items()}
        if isinstance(value, list | tuple) and kind in {list, tuple}:
            if _SCALARS.issuperset(map(type, value)):
                self._remaining -= len(value)
                return list(value)
            return [self.convert(item, depth + 1) for item in value]
        raise _refused(f"a {kind.__name__}")


_SCALARS = frozenset({bool, int, float, str})


def _refused(got: str) -> Invalid:
    return Invalid(
        "the file's values cannot be read", expected=PLAIN_VALUES, got=got, reason=REFUSED
    )
