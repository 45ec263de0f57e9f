"""The work of a step, for all tools: add 1 to each of 200 integers. Standard library only."""

import json
import os
from pathlib import Path

COUNT = 200
STEPS = int(os.environ.get("PEERS_STEPS", "6"))
"""Number of steps of the chain."""


def add_one(index: int, before: list[int] | None) -> list[int]:
    """Compute the numbers of step `index` from those of the previous step; None for the first."""
    _record_execution(index)
    if os.environ.get("PEERS_HALT") == str(index):
        from peers.workloads.halt import halt_next_write

        halt_next_write(os.environ["PEERS_HALT_PATTERN"], Path(os.environ["PEERS_PLACE"]))
    numbers = list(range(COUNT)) if before is None else before
    return [number + 1 for number in numbers]


def read_numbers(path: str | Path) -> list[int]:
    """Read the file of a step."""
    with Path(path).open() as file:
        numbers: list[int] = json.load(file)
    return numbers


def write_numbers(path: str | Path, numbers: list[int]) -> None:
    """Write the file of a step, like a script that leaves durability to its tool."""
    with Path(path).open("w") as file:
        json.dump(numbers, file)


def _record_execution(index: int) -> None:
    """Record for the benchmark that the step was executed, at the same cost for every tool."""
    with (Path(os.environ["PEERS_PLACE"]) / "ran.txt").open("a") as file:
        file.write(f"{index}\n")
