"""The pickle inside a `.pt` file: plain values and tensors, and nothing else.

Written opcode by opcode (protocol 2), because a pickler would have to import torch to name what
is torch's. Read by an unpickler that knows the names below; any other is refused by name before
anything is made of it.
"""

import io
import pickle
import pickletools
import struct
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from filmgate.core.errors import Invalid

MAX_DEPTH = 64
MAX_PICKLE_BYTES = 64 << 20
"""Of everything but the tensors' bytes."""

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
"""By numpy's name of the type, what torch calls a stretch of such numbers."""

REFUSED = "pickle_refused"


class Storage(NamedTuple):
    """A stretch of numbers in the file: the member `data/{key}`. A tuple, which no pickle can
    change once it is made."""

    key: str
    dtype: str
    length: int
    """How many numbers."""


class TensorPlace(NamedTuple):
    """Where a tensor's numbers lie: in a storage, from `offset` on, one row after the other."""

    storage: Storage
    offset: int
    """In numbers, not bytes."""
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    """In numbers."""


def pickled(value: Any, place_of: Callable[[Any], TensorPlace | None]) -> bytes:
    """The pickle of a value of dicts, lists, texts, numbers, truths and tensors.

    `place_of` says where a tensor lies, and None for what is no tensor. Raises TypeError for
    anything else, and for keys that are no texts.
    """
    out = bytearray(b"\x80\x02")
    _put(out, value, place_of, 0)
    return bytes(out + b".")


def _put(
    out: bytearray, value: Any, place_of: Callable[[Any], TensorPlace | None], depth: int
) -> None:
    if depth > MAX_DEPTH:
        raise TypeError("values are nested too deep")
    if value is None or isinstance(value, bool | int | float | str):
        out += _single(value)
    elif isinstance(value, Mapping):
        out += b"}("
        for key, held in value.items():
            if not isinstance(key, str):
                raise TypeError(f"expected a text for a key, got {key!r}")
            out += _text(key)
            _put(out, held, place_of, depth + 1)
        out += b"u"
    elif isinstance(value, list | tuple):
        out += b"]("
        for held in value:
            _put(out, held, place_of, depth + 1)
        out += b"e"
    elif (place := place_of(value)) is not None:
        out += _tensor(place)
    else:
        raise TypeError(f"{type(value).__name__} is not written into a .pt file")


def _single(value: bool | float | str | None) -> bytes:
    if value is None or isinstance(value, bool):
        return {None: b"N", True: b"\x88", False: b"\x89"}[value]
    if isinstance(value, int):
        return _whole(value)
    return b"G" + struct.pack(">d", value) if isinstance(value, float) else _text(value)


def _text(text: str) -> bytes:
    data = text.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def _whole(number: int) -> bytes:
    if -(1 << 31) <= number < 1 << 31:
        return b"J" + struct.pack("<i", number)
    size = (number.bit_length() + 8) // 8
    if size > 255:  # noqa: PLR2004 - what one byte can say
        raise TypeError("the number is too large")
    return b"\x8a" + bytes([size]) + number.to_bytes(size, "little", signed=True)


def _tensor(place: TensorPlace) -> bytes:
    """`torch._utils._rebuild_tensor_v2(storage, offset, shape, strides, False, OrderedDict())`."""
    storage = place.storage
    named = b"ctorch\n" + STORAGES[storage.dtype].encode() + b"\n"
    parts = [
        b"ctorch._utils\n_rebuild_tensor_v2\n((",
        *(_text("storage"), named, _text(storage.key), _text("cpu"), _whole(storage.length)),
        b"tQ",
        _whole(place.offset),
        b"(" + b"".join(map(_whole, place.shape)) + b"t",
        b"(" + b"".join(map(_whole, place.strides)) + b"t",
        b"\x89ccollections\nOrderedDict\n)RtR",
    ]
    return b"".join(parts)


class _Named(NamedTuple):
    """A class of storages, by torch's name; nothing is ever made of it."""

    dtype: str


class _Restricted(pickle.Unpickler):
    """Knows tensors and the plain types; any other name is refused."""

    def find_class(self, module: str, name: str) -> Any:
        """What a name stands for."""
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _place
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if module == "torch" and name in _BY_STORAGE:
            return _Named(_BY_STORAGE[name])
        raise Invalid(
            f"the file wants {module}.{name}",
            expected="tensors, texts, numbers, lists and dicts",
            got=f"{module}.{name}",
            hint="It may be hostile: do not load it with anything that runs what it names",
            reason=REFUSED,
        )

    def persistent_load(self, pid: Any) -> Storage:
        """A storage, as the pickle refers to it."""
        match pid:
            case ("storage", _Named(dtype), str(key), str(), int(count)) if count >= 0:
                return Storage(key=key, dtype=dtype, length=count)
        raise _broken(f"a reference that is a {type(pid).__name__}")


_BY_STORAGE = {name: dtype for dtype, name in STORAGES.items()}


def _place(storage: Any, offset: Any, shape: Any, strides: Any, *_rest: Any) -> TensorPlace:
    """What stands for a call of `_rebuild_tensor_v2`."""
    if not isinstance(storage, Storage) or not _are_whole([offset]):
        raise _broken("a tensor without a storage")
    if not (isinstance(shape, tuple) and isinstance(strides, tuple)):
        raise _broken("a tensor without a shape")
    if len(shape) != len(strides) or not (_are_whole(shape) and _are_whole(strides)):
        raise _broken("a tensor whose shape or strides are no numbers, or not as many")
    last = sum((size - 1) * step for size, step in zip(shape, strides, strict=True))
    if 0 not in shape and offset + last >= storage.length:
        raise _broken("a tensor that reaches beyond its storage")
    return TensorPlace(storage, offset, shape, strides)


def _are_whole(numbers: Any) -> bool:
    return all(isinstance(each, int) and 0 <= each < 1 << 48 for each in numbers)


def unpickled(data: bytes, tensor: Callable[[TensorPlace], Any] = lambda place: place) -> Any:
    """The value, with what `tensor` makes of its place for every tensor; Invalid for anything that
    is not plain.

    What comes is held against plain types once more: no name that is allowed makes another, but
    a pickle may put the allowed ones where they do not belong.
    """
    if len(data) > MAX_PICKLE_BYTES:
        raise _broken(f"{len(data):,} bytes besides its tensors")
    try:
        _check_memo(data)
        value = _Restricted(io.BytesIO(data)).load()
    except Invalid:
        raise
    except Exception as error:
        raise _broken(f"{type(error).__name__}: {error}"[:200]) from error
    return _Plain(tensor).value(value, 0)


MAX_VALUES = 2_000_000
"""A pickle can say the same list in a list a billion times over in a hundred bytes."""


def _check_memo(data: bytes) -> None:
    """Raise ValueError for a place in the memo that no honest pickle of this size has: the
    unpickler makes a table as long as the largest."""
    for opcode, argument, _ in pickletools.genops(data):
        is_put = opcode.name in {"BINPUT", "LONG_BINPUT", "PUT"}
        if is_put and not 0 <= int(argument or 0) <= len(data):
            raise ValueError(f"place {argument} in a memo")


class _Plain:
    """Holds a value against plain types, and puts tensors in their places."""

    def __init__(self, tensor: Callable[[TensorPlace], Any]) -> None:
        self._tensor = tensor
        self._left = MAX_VALUES

    def value(self, value: Any, depth: int) -> Any:
        self._left -= 1
        if depth > MAX_DEPTH or self._left < 0:
            raise _broken("values nested too deep, or too many of them")
        kind = type(value)
        if value is None or kind in _SINGLE:
            return value
        if kind is TensorPlace:
            return self._tensor(value)
        if kind in {dict, OrderedDict}:
            if not all(type(key) is str for key in value):
                raise _broken("a dict with keys that are no texts")
            return {key: self.value(held, depth + 1) for key, held in value.items()}
        if kind in {list, tuple}:
            if _SINGLE.issuperset(map(type, value)):
                self._left -= len(value)
                return list(value)
            return [self.value(held, depth + 1) for held in value]
        raise _broken(f"a {kind.__name__}")


_SINGLE = frozenset({bool, int, float, str})


def _broken(got: str) -> Invalid:
    return Invalid(
        "the file's values cannot be read",
        expected="tensors, texts, numbers, lists and dicts",
        got=got,
        reason=REFUSED,
    )
