"""The chain in Prefect: one task per step, whose result is stored as JSON and cached by inputs."""

import sys

from prefect import flow, task
from prefect.cache_policies import INPUTS

from peers.workloads.chain import STEPS, add_one, write_numbers


@task(cache_policy=INPUTS, persist_result=True, result_serializer="json")
def add(index: int, before: list[int] | None) -> list[int]:
    """Compute one step."""
    return add_one(index, before)


@flow
def chain(first: int) -> list[int]:
    """Compute all steps; from `first` on, the cache is refreshed."""
    numbers: list[int] | None = None
    for index in range(STEPS):
        numbers = add.with_options(refresh_cache=index >= first)(index, numbers)
    assert numbers is not None
    return numbers


if __name__ == "__main__":
    write_numbers("final.json", chain(int(sys.argv[1]) if len(sys.argv) > 1 else STEPS))
