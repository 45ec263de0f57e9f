"""What a step does, whoever runs it: 200 integers, one added to each. Standard library only."""

import json
import os
from pathlib import Path

COUNT = 200
STEPS = int(os.environ.get("PEERS_STEPS", "6"))
"""How long the chain is."""


def add_one(index: int, before: list[int] | None) -> list[int]:
    """The numbers of step `index`, made of those of the step before; the first has none before."""
    _note(index)
    if os.environ.get("PEERS_HALT") == str(index):
        from peers.workloads.halt import halt_next_write

        halt_next_write(os.environ["PEERS_HALT_PATTERN"], Path(os.environ["PEERS_PLACE"]))
    numbers = list(range(COUNT)) if before is None else before
    return [number + 1 for number in numbers]


def read_numbers(path: str | Path) -> list[int]:
    """What a step's file holds."""
    with Path(path).open() as file:
        numbers: list[int] = json.load(file)
    return numbers


def write_numbers(path: str | Path, numbers: list[int]) -> None:
    """Write a step's file, as a script does that leaves care to its tool."""
    with Path(path).open("w") as file:
        json.dump(numbers, file)


def _note(index: int) -> None:
    """Tell the benchmark that the step really ran: one short line, the same cost to every tool."""
    with (Path(os.environ["PEERS_PLACE"]) / "ran.txt").open("a") as file:
        file.write(f"{index}\n")
