"""Records the changes of a process to a folder, as operations that a power loss may undo."""

import io
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from support.power import ROOT, Acknowledged, Data, Names, Op, Recording, Sync, Tree, set_name

Call = Callable[..., Any]
Acknowledge = Callable[[str], None]
"""Called with a name when the program acknowledges that something is permanent."""

AnyPath = str | os.PathLike[str]


def record_operations(root: Path, work: Callable[[Path, Acknowledge], object]) -> Recording:
    """Let a child process work on a folder, and record its operations.

    Raises AssertionError if some change was not recorded.
    """
    with ProcessPoolExecutor(1, get_context("fork")) as child:
        recording = child.submit(_record_in_this_process, root, work).result()
    assert recording.tree(len(recording.ops), {}) == read_tree(root), "something was not recorded"
    return recording


def _record_in_this_process(root: Path, work: Callable[[Path, Acknowledge], object]) -> Recording:
    recorder = _Recorder(root)
    begin = len(recorder.ops)
    recorder.patch_os()
    work(root, lambda name: recorder.ops.append(Acknowledged(name)))
    return Recording(tuple(recorder.ops), begin, frozenset(recorder.names))


def read_tree(root: Path) -> Tree:
    """Read all files and folders below a folder."""
    return {
        f"{path.relative_to(root)}{'/' if path.is_dir() else ''}": b""
        if path.is_dir()
        else path.read_bytes()
        for path in root.rglob("*")
    }


def write_tree(root: Path, tree: Tree) -> None:
    """Write the tree into a new folder; in the tree, parents precede children."""
    root.mkdir()
    for path, data in tree.items():
        if path.endswith("/"):
            (root / path).mkdir()
        else:
            (root / path).write_bytes(data)


class _Recorder:
    """Replaces functions of `os` in this process, permanently. Files may only be appended to."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._numbers = count(ROOT + 1)
        self._descriptors: dict[int, int] = {}
        self.names: dict[int, dict[str, int]] = {ROOT: {}}
        self.ops: list[Op] = []
        self._record_existing()

    def patch_os(self) -> None:
        """Replace every function that Filmgate changes a disk with; methods of `Path` use them."""
        for name in ("open", "close", "write", "fsync", "link", "unlink", "mkdir"):
            setattr(os, name, partial(getattr(self, f"_{name}"), getattr(os, name)))
        for name in ("rename", "replace"):
            setattr(os, name, partial(self._rename, getattr(os, name)))
        setattr(io, "open", partial(self._open_file, io.open))  # noqa: B010 - only in this process

    def _record_existing(self) -> None:
        """Record the existing files as durable."""
        for path, data in sorted(read_tree(self._root).items()):
            node = self._make(self._root / path, is_folder=path.endswith("/"))
            self.ops += [Data(node, data)] if data else []
        self.ops += [Sync(node) for node in range(next(self._numbers))]

    def _open(self, real: Call, path: AnyPath, flags: int, *more: Any, **named: Any) -> Any:
        descriptor = real(path, flags, *more, **named)
        node = self._node(path)
        if node is None and flags & os.O_CREAT and self._is_inside(path):
            node = self._make(path)
        if node is not None:
            self._descriptors[descriptor] = node
        return descriptor

    def _open_file(self, real: Call, path: AnyPath, *more: Any, **named: Any) -> Any:
        """Record the creation. Writes to such a file are missed; the final check detects that."""
        file = real(path, *more, **named)
        if self._is_inside(path) and self._node(path) is None:
            self._make(path)
        return file

    def _close(self, real: Call, descriptor: int) -> None:
        self._descriptors.pop(descriptor, None)
        real(descriptor)

    def _write(self, real: Call, descriptor: int, data: bytes) -> Any:
        written = real(descriptor, data)
        if descriptor in self._descriptors:
            self.ops.append(Data(self._descriptors[descriptor], bytes(data[:written])))
        return written

    def _fsync(self, real: Call, descriptor: int) -> None:
        real(descriptor)
        if descriptor in self._descriptors:
            self.ops.append(Sync(self._descriptors[descriptor]))

    def _link(self, real: Call, source: AnyPath, target: AnyPath, **named: Any) -> None:
        real(source, target, **named)
        self._change((target, self._node(source)))

    def _unlink(self, real: Call, path: AnyPath, **named: Any) -> None:
        real(path, **named)
        self._change((path, None))

    def _mkdir(self, real: Call, path: AnyPath, *more: Any, **named: Any) -> None:
        real(path, *more, **named)
        self._make(path, is_folder=True)

    def _rename(self, real: Call, source: AnyPath, target: AnyPath, **named: Any) -> None:
        real(source, target, **named)
        self._change((target, self._node(source)), (source, None))

    def _make(self, path: AnyPath, *, is_folder: bool = False) -> int:
        node = next(self._numbers)
        if is_folder:
            self.names[node] = {}
        self._change((path, node))
        return node

    def _change(self, *changes: tuple[AnyPath, int | None]) -> None:
        """Record that names refer to other nodes now."""
        if not self._is_inside(changes[0][0]):
            return
        entries = tuple((*self._locate(path), node) for path, node in changes)
        for folder, name, node in entries:
            set_name(self.names[folder], name, node)
        self.ops.append(Names(entries))

    def _is_inside(self, path: object) -> bool:
        return isinstance(path, str | os.PathLike) and Path(path).is_relative_to(self._root)

    def _locate(self, path: AnyPath) -> tuple[int, str]:
        """Node of the folder of a path, and the name in it."""
        *parents, name = Path(path).relative_to(self._root).parts
        folder = ROOT
        for parent in parents:
            folder = self.names[folder][parent]
        return folder, name

    def _node(self, path: AnyPath) -> int | None:
        if not self._is_inside(path):
            return None
        if Path(path) == self._root:
            return ROOT
        folder, name = self._locate(path)
        return self.names[folder].get(name)
