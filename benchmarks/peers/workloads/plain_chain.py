"""The lower bound: one process without a tool; files are written to a draft, flushed, renamed."""

import json
import os
import sys
from pathlib import Path

from peers.workloads.chain import STEPS, add_one, read_numbers


def write_safely(path: Path, numbers: list[int]) -> None:
    """Write a file atomically and durably, even in case of a power failure."""
    draft = path.with_name(f".{path.name}.draft")
    with draft.open("w") as file:
        json.dump(numbers, file)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


def main(first: int) -> None:
    """Run the steps from `first` on."""
    for index in range(first, STEPS):
        before = read_numbers(f"n{index - 1}.json") if index else None
        write_safely(Path(f"n{index}.json"), add_one(index, before))


if __name__ == "__main__":
    main(int(sys.argv[1]))
