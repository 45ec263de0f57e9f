"""Ask Hamilton's driver for the last node: `python -m peers.workloads.hamilton_run [FROM]`."""

import sys

from hamilton import driver

from peers.workloads import hamilton_chain
from peers.workloads.chain import STEPS, write_numbers


def main(first: int) -> None:
    """Compute what the cache does not have; from `first` on, all."""
    again = [f"n{index}" for index in range(first, STEPS)] or None
    built = driver.Builder().with_modules(hamilton_chain).with_cache(recompute=again).build()
    last = f"n{STEPS - 1}"
    write_numbers("final.json", built.execute([last])[last])


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else STEPS)
