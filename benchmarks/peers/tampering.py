"""What is done to a stored file behind a tool's back."""

import os
from pathlib import Path

from peers.peer import Form


def cut(path: Path, form: Form) -> None:
    """Leave the first half of the numbers, in a file that is still valid."""
    data = path.read_bytes()
    numbers = form.decode(data)
    _overwrite(path, form.encode(numbers[: len(numbers) // 2], data))


def flip(path: Path, form: Form) -> None:
    """Change one bit so that one number is another, and set size and mtime back.

    Where no single bit does that (a compressed file), one in the middle of it.
    """
    before = path.stat()
    data = path.read_bytes()
    _overwrite(path, _flipped(data, form))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def delete(path: Path, form: Form) -> None:
    """Remove the file."""
    path.unlink()


def _flipped(data: bytes, form: Form) -> bytes:
    numbers = form.decode(data)
    middle = len(data) // 2
    for place in [*range(middle, len(data)), *range(middle)]:
        changed = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        try:
            found = form.decode(changed)
        except Exception:  # noqa: BLE001 - a damaged pickle may raise anything
            continue
        if len(found) == len(numbers) and _differ_in_one(found, numbers):
            return changed
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def _differ_in_one(one: list[int], other: list[int]) -> bool:
    return sum(left != right for left, right in zip(one, other, strict=True)) == 1


def _overwrite(path: Path, data: bytes) -> None:
    """In place, the inode kept, even where the tool has taken away the right to write."""
    mode = path.stat().st_mode
    path.chmod(mode | 0o200)
    with path.open("r+b") as file:
        file.write(data)
        file.truncate()
    path.chmod(mode)
