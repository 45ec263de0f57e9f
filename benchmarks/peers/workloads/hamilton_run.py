"""Execute the last node with Hamilton's driver: `python -m peers.workloads.hamilton_run [FROM]`."""

import sys

from hamilton import driver

from peers.workloads import hamilton_chain
from peers.workloads.chain import STEPS, write_numbers


def main(first: int) -> None:
    """Compute the nodes that are not cached, and all from `first` on."""
    recompute = [f"n{index}" for index in range(first, STEPS)] or None
    builder = driver.Builder().with_modules(hamilton_chain).with_cache(recompute=recompute)
    last = f"n{STEPS - 1}"
    write_numbers("final.json", builder.build().execute([last])[last])


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else STEPS)
