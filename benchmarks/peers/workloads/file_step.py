"""One step as a separate command, for DVC: `python -m peers.workloads.file_step 3`."""

import sys

from peers.workloads.chain import add_one, read_numbers, write_numbers


def main(index: int) -> None:
    """Read the numbers of the previous step, add 1, and write them."""
    before = read_numbers(f"n{index - 1}.json") if index else None
    write_numbers(f"n{index}.json", add_one(index, before))


if __name__ == "__main__":
    main(int(sys.argv[1]))
