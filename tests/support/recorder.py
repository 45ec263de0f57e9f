"""Records what this process does to a folder, as operations that a power loss may undo."""

import io
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from support.power import ROOT, Data, Names, Op, Recording, Sync, Told, Tree, set_name

Call = Callable[..., Any]
Tell = Callable[[str], None]
AnyPath = str | os.PathLike[str]


def recorded(root: Path, work: Callable[[Path, Tell], object]) -> Recording:
    """Let a child of its own work on a folder; AssertionError where not all of it was seen."""
    with ProcessPoolExecutor(1, get_context("fork")) as child:
        recording = child.submit(_recorded_here, root, work).result()
    assert recording.tree(len(recording.ops), {}) == read_tree(root), "something was not recorded"
    return recording


def _recorded_here(root: Path, work: Callable[[Path, Tell], object]) -> Recording:
    recorder = _Recorder(root)
    begin = len(recorder.ops)
    recorder.listen()
    work(root, lambda word: recorder.ops.append(Told(word)))
    return Recording(tuple(recorder.ops), begin, frozenset(recorder.names))


def read_tree(root: Path) -> Tree:
    """What lies under a folder."""
    return {
        f"{path.relative_to(root)}{'/' if path.is_dir() else ''}": b""
        if path.is_dir()
        else path.read_bytes()
        for path in root.rglob("*")
    }


def write_tree(root: Path, tree: Tree) -> None:
    """Make it lie there, in a new folder; parents come before children."""
    root.mkdir()
    for path, data in tree.items():
        if path.endswith("/"):
            (root / path).mkdir()
        else:
            (root / path).write_bytes(data)


class _Recorder:
    """Stands between a process and its `os`, for good. Files are only added to."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._numbers = count(ROOT + 1)
        self._descriptors: dict[int, int] = {}
        self.names: dict[int, dict[str, int]] = {ROOT: {}}
        self.ops: list[Op] = []
        self._take_stock()

    def listen(self) -> None:
        """Replace every call by which Filmgate changes a disk; the methods of `Path` use them."""
        for name in ("open", "close", "write", "fsync", "link", "unlink", "mkdir"):
            setattr(os, name, partial(getattr(self, f"_{name}"), getattr(os, name)))
        for name in ("rename", "replace"):
            setattr(os, name, partial(self._rename, getattr(os, name)))
        setattr(io, "open", partial(self._open_file, io.open))  # noqa: B010 - of this process alone

    def _take_stock(self) -> None:
        """What is there already lasts."""
        for path, data in sorted(read_tree(self._root).items()):
            node = self._make(self._root / path, is_folder=path.endswith("/"))
            self.ops += [Data(node, data)] if data else []
        self.ops += [Sync(node) for node in range(next(self._numbers))]

    def _open(self, real: Call, path: AnyPath, flags: int, *more: Any, **named: Any) -> Any:
        descriptor = real(path, flags, *more, **named)
        node = self._node(path)
        if node is None and flags & os.O_CREAT and self._is_ours(path):
            node = self._make(path)
        if node is not None:
            self._descriptors[descriptor] = node
        return descriptor

    def _open_file(self, real: Call, path: AnyPath, *more: Any, **named: Any) -> Any:
        """What is written to such a file is missed, and found out in the end."""
        file = real(path, *more, **named)
        if self._is_ours(path) and self._node(path) is None:
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
        """Note that names came to mean something else."""
        if not self._is_ours(changes[0][0]):
            return
        noted = tuple((*self._place(path), node) for path, node in changes)
        for folder, name, node in noted:
            set_name(self.names[folder], name, node)
        self.ops.append(Names(noted))

    def _is_ours(self, path: object) -> bool:
        return isinstance(path, str | os.PathLike) and Path(path).is_relative_to(self._root)

    def _place(self, path: AnyPath) -> tuple[int, str]:
        """The folder that a name is in, and the name."""
        *parents, name = Path(path).relative_to(self._root).parts
        folder = ROOT
        for parent in parents:
            folder = self.names[folder][parent]
        return folder, name

    def _node(self, path: AnyPath) -> int | None:
        if not self._is_ours(path):
            return None
        if Path(path) == self._root:
            return ROOT
        folder, name = self._place(path)
        return self.names[folder].get(name)
