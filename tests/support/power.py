"""A disk that loses power: what a program did to a folder, and all that may be left of it.

The rules, harsher than those of any journalled file system:

- bytes of a file last once the file was synced; until then none of them, the first half of them,
  or as many zeros may be there;
- a name (made, linked, removed) lasts once its folder was synced, in any order with the others,
  whether or not the file was;
- a rename is one change, which lasts once either folder was synced; until then the file may have
  the old name, the new one, or both, but never neither. POSIX does not promise that between two
  folders; ext4, XFS, btrfs and ZFS keep a rename in one transaction.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from functools import cached_property
from itertools import islice

Tree = Mapping[str, bytes]
"""What lies under a folder, by path. A folder ends in a slash and holds nothing itself."""

ROOT = 0
TOLD = 160
"""Characters by which a change is told."""


class Left(Enum):
    """What the power loss left of a change that was not synced."""

    NOTHING = "nothing"
    ALL = "all"
    HALF = "half"
    """The first half of the bytes; of a rename, the new name beside the old one."""
    ZEROS = "zeros"


@dataclass(frozen=True)
class Names:
    """Names that change together: by folder and name, the node they mean from now on."""

    changes: tuple[tuple[int, str, int | None], ...]
    """The new name first, for a rename."""


@dataclass(frozen=True)
class Data:
    """Bytes added to a file."""

    node: int
    data: bytes


@dataclass(frozen=True)
class Sync:
    """The bytes of a file, or the names in a folder, are made to last."""

    node: int


@dataclass(frozen=True)
class Told:
    """The program gave its word on something: it must hold from here on."""

    word: str


Op = Names | Data | Sync | Told


@dataclass(frozen=True)
class State:
    """What may be found after the power went."""

    tree: Tree
    told: frozenset[str]
    crash: int
    """The number of operations that had been done."""
    left: str
    """What was left of those that were not synced."""


@dataclass(frozen=True)
class Recording:
    """What a program did to a folder."""

    ops: tuple[Op, ...]
    begin: int
    """As many operations made what was there before, and lasted."""
    folders: frozenset[int]
    """The nodes that are folders."""

    def states(self, *, aside: str, every: int = 1) -> Iterator[State]:
        """All that may be left, whenever the power goes, or every so many of it; none twice.

        States that differ only in what lies below folders called `aside` count as one.
        """
        seen = set()
        for crash, left, fates in islice(self._losses(), 0, None, every):
            told = frozenset(op.word for op in self.ops[:crash] if isinstance(op, Told))
            tree = self.tree(crash, fates)
            rest = frozenset(each for each in tree.items() if f"/{aside}/" not in each[0])
            if (rest, told) not in seen:
                seen.add((rest, told))
                yield State(tree, told, crash, left)

    def torn(self) -> "Recording":
        """The same where a rename between two folders is two changes, each lasting on its own."""
        ops: list[Op] = []
        for op in self.ops:
            if isinstance(op, Names) and len({folder for folder, _, _ in op.changes}) > 1:
                ops += [Names((change,)) for change in op.changes]
            else:
                ops.append(op)
        return replace(self, ops=tuple(ops))

    def tree(self, crash: int, fates: Mapping[int, Left]) -> Tree:
        """What lies there after so many operations, of which some met their fate."""
        names: dict[int, dict[str, int]] = {}
        contents: dict[int, bytes] = {}
        for index, op in enumerate(self.ops[:crash]):
            left = fates.get(index, Left.ALL)
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
        """What may yet be lost: one change of names each, and the bytes of one file each."""
        lost: dict[tuple[str, int], list[int]] = {}
        for index, op in enumerate(self.ops[:crash]):
            if self._lasts_from[index] >= crash:
                if isinstance(op, Names):
                    lost["names", index] = [index]
                elif isinstance(op, Data):
                    lost.setdefault(("data", op.node), []).append(index)
        return list(lost.values())

    def _losses(self) -> Iterator[tuple[int, str, dict[int, Left]]]:
        for crash in range(self.begin, len(self.ops) + 1):
            for left, fates in self._fates(self._unsynced(crash)):
                yield crash, left, fates

    def _fates(self, lost: list[list[int]]) -> Iterator[tuple[str, dict[int, Left]]]:
        """Nothing is left of it, or everything; each alone; everything but each."""
        nothing = {index: Left.NOTHING for unit in lost for index in unit}
        yield "nothing", nothing
        yield "everything", {}
        for unit in lost:
            op = self.ops[unit[0]]
            for left in self._ways(op):
                fate = _fate(unit, left)
                yield f"nothing, but {left.value} of {op}"[:TOLD], nothing | fate
                yield f"all, but {left.value} of {op}"[:TOLD], fate

    def _ways(self, op: Op) -> list[Left]:
        if isinstance(op, Data):
            return list(Left)
        is_rename = isinstance(op, Names) and len(op.changes) > 1
        return [Left.NOTHING, Left.ALL, *([Left.HALF] if is_rename else [])]

    @cached_property
    def _lasts_from(self) -> list[int]:
        """For each operation the index of the sync that makes it last."""
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
    """Let a name mean a node, or nothing."""
    if node is None:
        folder.pop(name, None)
    else:
        folder[name] = node


def _fate(unit: list[int], left: Left) -> dict[int, Left]:
    """Of several writes to one file, the first half of the bytes are the first of them."""
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
