"""A model of power loss: the operations of a program on a folder, and all states they may leave.

The rules are stricter than those of any journalled file system:

- Bytes of a file are durable after the file was synced; before, none of them, the first half of
  them, or as many zeros may exist.
- A name (created, linked, removed) is durable after its folder was synced, in any order with
  other names, whether or not the file was synced.
- A rename is one change, and durable after either folder was synced; before, the file may have
  the old name, the new one, or both, but never neither. POSIX does not promise that between two
  folders; ext4, XFS, btrfs and ZFS keep a rename in one transaction.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from functools import cached_property
from itertools import islice

Tree = Mapping[str, bytes]
"""Contents by path below a folder. The path of a folder ends in a slash; its contents are empty."""

ROOT = 0
"""Node of the folder itself."""

MAX_DESCRIPTION = 160
"""Maximum length of the description of a loss, in characters."""


class Left(Enum):
    """Remains of an unsynced change after the power loss."""

    NOTHING = "nothing"
    ALL = "all"
    HALF = "half"
    """The first half of the bytes; of a rename, both the new name and the old one."""
    ZEROS = "zeros"


@dataclass(frozen=True)
class Names:
    """Names that change together: folder, name, and the node that it refers to from now on."""

    changes: tuple[tuple[int, str, int | None], ...]
    """For a rename, the new name is first. A node of None removes the name."""


@dataclass(frozen=True)
class Data:
    """Bytes appended to a file."""

    node: int
    data: bytes


@dataclass(frozen=True)
class Sync:
    """The bytes of a file, or the names in a folder, become durable."""

    node: int


@dataclass(frozen=True)
class Acknowledged:
    """The program acknowledged something by name: it must be permanent from here on."""

    name: str


Op = Names | Data | Sync | Acknowledged


@dataclass(frozen=True)
class State:
    """A possible state of the folder after the power loss."""

    tree: Tree
    acknowledged: frozenset[str]
    """Names that the program had acknowledged."""
    crash: int
    """Number of operations before the power loss."""
    left: str
    """Description of the remains of the unsynced operations."""


@dataclass(frozen=True)
class Recording:
    """The operations of a program on a folder."""

    ops: tuple[Op, ...]
    begin: int
    """Number of operations that made the existing files; these are durable."""
    folders: frozenset[int]
    """Nodes that are folders."""

    def states(self, *, aside: str, every: int = 1) -> Iterator[State]:
        """Yield every distinct state that a power loss may leave, at any time.

        `every`: yield only each nth loss. States that differ only below folders named `aside`
        count as one.
        """
        seen = set()
        for crash, left, remains in islice(self._losses(), 0, None, every):
            done = self.ops[:crash]
            acknowledged = frozenset(op.name for op in done if isinstance(op, Acknowledged))
            tree = self.tree(crash, remains)
            compared = frozenset(item for item in tree.items() if f"/{aside}/" not in item[0])
            if (compared, acknowledged) not in seen:
                seen.add((compared, acknowledged))
                yield State(tree, acknowledged, crash, left)

    def torn(self) -> "Recording":
        """The same, with a rename between two folders as two changes, durable independently."""
        ops: list[Op] = []
        for op in self.ops:
            if isinstance(op, Names) and len({folder for folder, _, _ in op.changes}) > 1:
                ops += [Names((change,)) for change in op.changes]
            else:
                ops.append(op)
        return replace(self, ops=tuple(ops))

    def tree(self, crash: int, remains: Mapping[int, Left]) -> Tree:
        """The tree after `crash` operations; `remains`: remains of those that are not complete."""
        names: dict[int, dict[str, int]] = {}
        contents: dict[int, bytes] = {}
        for index, op in enumerate(self.ops[:crash]):
            left = remains.get(index, Left.ALL)
            if isinstance(op, Names) and left is not Left.NOTHING:
                for folder, name, node in op.changes[: 1 if left is Left.HALF else None]:
                    set_name(names.setdefault(folder, {}), name, node)
            elif isinstance(op, Data):
                contents[op.node] = contents.get(op.node, b"") + _cut(op.data, left)
        return dict(self._walk(ROOT, "", names, contents))

    def _walk(
        self,
        node: int,
        path: str,
        names: Mapping[int, dict[str, int]],
        contents: Mapping[int, bytes],
    ) -> Iterator[tuple[str, bytes]]:
        for name, child in names.get(node, {}).items():
            if child in self.folders:
                yield f"{path}{name}/", b""
                yield from self._walk(child, f"{path}{name}/", names, contents)
            else:
                yield f"{path}{name}", contents.get(child, b"")

    def _unsynced(self, crash: int) -> list[list[int]]:
        """Units that may still be lost: one change of names each, or the bytes of one file each."""
        lost: dict[tuple[str, int], list[int]] = {}
        for index, op in enumerate(self.ops[:crash]):
            if self._durable_from[index] >= crash:
                if isinstance(op, Names):
                    lost["names", index] = [index]
                elif isinstance(op, Data):
                    lost.setdefault(("data", op.node), []).append(index)
        return list(lost.values())

    def _losses(self) -> Iterator[tuple[int, str, dict[int, Left]]]:
        for crash in range(self.begin, len(self.ops) + 1):
            for left, remains in self._combinations(self._unsynced(crash)):
                yield crash, left, remains

    def _combinations(self, lost: list[list[int]]) -> Iterator[tuple[str, dict[int, Left]]]:
        """Yield combinations of remains: nothing; everything; each unit alone; all but one unit."""
        nothing = {index: Left.NOTHING for unit in lost for index in unit}
        yield "nothing", nothing
        yield "everything", {}
        for unit in lost:
            op = self.ops[unit[0]]
            for left in self._possible_remains(op):
                remains = _unit_remains(unit, left)
                yield f"nothing, but {left.value} of {op}"[:MAX_DESCRIPTION], nothing | remains
                yield f"all, but {left.value} of {op}"[:MAX_DESCRIPTION], remains

    def _possible_remains(self, op: Op) -> list[Left]:
        if isinstance(op, Data):
            return list(Left)
        is_rename = isinstance(op, Names) and len(op.changes) > 1
        return [Left.NOTHING, Left.ALL, *([Left.HALF] if is_rename else [])]

    @cached_property
    def _durable_from(self) -> list[int]:
        """For each operation, the index of the sync that makes it durable."""
        synced: dict[int, int] = {}
        found = []
        for index, op in reversed(list(enumerate(self.ops))):
            if isinstance(op, Sync):
                synced[op.node] = index
            nodes = [op.node] if isinstance(op, Data) else []
            nodes = [folder for folder, _, _ in op.changes] if isinstance(op, Names) else nodes
            found.append(min((synced.get(node, len(self.ops)) for node in nodes), default=0))
        return found[::-1]


def set_name(folder: dict[str, int], name: str, node: int | None) -> None:
    """Let a name refer to a node; None removes the name."""
    if node is None:
        folder.pop(name, None)
    else:
        folder[name] = node


def _unit_remains(unit: list[int], left: Left) -> dict[int, Left]:
    """Remains of each operation of a unit.

    Half of several writes to one file are the first half of the writes.
    """
    if left is Left.HALF and len(unit) > 1:
        whole = len(unit) // 2
        return dict.fromkeys(unit[:whole], Left.ALL) | dict.fromkeys(unit[whole:], Left.NOTHING)
    return dict.fromkeys(unit, left)


def _cut(data: bytes, left: Left) -> bytes:
    match left:
        case Left.NOTHING:
            return b""
        case Left.ALL:
            return data
        case Left.HALF:
            return data[: len(data) // 2]
        case Left.ZEROS:
            return bytes(len(data))
