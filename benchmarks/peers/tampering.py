"""Damage a stored file without the tool's knowledge."""

import os
from pathlib import Path

from peers.peer import Codec


def cut(path: Path, codec: Codec) -> None:
    """Remove the second half of the numbers; the file is still valid."""
    data = path.read_bytes()
    numbers = codec.decode(data)
    _overwrite(path, codec.encode(numbers[: len(numbers) // 2], data))


def flip(path: Path, codec: Codec) -> None:
    """Flip one bit so that one number is different, and restore size and mtime.

    If no single bit does that, as in a compressed file, flip one in its middle.
    """
    before = path.stat()
    data = path.read_bytes()
    _overwrite(path, _flip_bit(data, codec))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def delete(path: Path, codec: Codec) -> None:
    """Remove the file."""
    path.unlink()


def _flip_bit(data: bytes, codec: Codec) -> bytes:
    numbers = codec.decode(data)
    middle = len(data) // 2
    for index in [*range(middle, len(data)), *range(middle)]:
        changed = data[:index] + bytes([data[index] ^ 1]) + data[index + 1 :]
        try:
            decoded = codec.decode(changed)
        except Exception:  # noqa: BLE001 - a damaged pickle may raise anything
            continue
        if len(decoded) == len(numbers) and _differ_in_one(decoded, numbers):
            return changed
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def _differ_in_one(one: list[int], other: list[int]) -> bool:
    return sum(a != b for a, b in zip(one, other, strict=True)) == 1


def _overwrite(path: Path, data: bytes) -> None:
    """Overwrite a file in place, with the same inode, even if the tool made it read-only."""
    mode = path.stat().st_mode
    path.chmod(mode | 0o200)
    with path.open("r+b") as file:
        file.write(data)
        file.truncate()
    path.chmod(mode)
