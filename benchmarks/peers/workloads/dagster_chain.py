"""The chain in Dagster: one asset per step, stored by `FilesystemIOManager`, in one process."""

from typing import Any

from dagster import AssetIn, Definitions, FilesystemIOManager, asset, in_process_executor

from peers.workloads.chain import STEPS, add_one


@asset
def n0() -> list[int]:
    """Compute step 0, which has no input."""
    return add_one(0, None)


def step(index: int) -> Any:
    """Make the asset of step `index`."""

    @asset(name=f"n{index}", ins={"before": AssetIn(f"n{index - 1}")})
    def add(before: list[int]) -> list[int]:
        return add_one(index, before)

    return add


definitions = Definitions(
    assets=[n0, *(step(index) for index in range(1, STEPS))],
    resources={"io_manager": FilesystemIOManager(base_dir="storage")},
    executor=in_process_executor,
)
