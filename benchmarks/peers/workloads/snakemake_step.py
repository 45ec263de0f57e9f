"""One step, for Snakemake's `script:`."""

from pathlib import Path
from typing import Any

from peers.workloads.chain import add_one, read_numbers, write_numbers

snakemake: Any = globals()["snakemake"]
"""Set by Snakemake, which inserts lines above this file."""

output = Path(snakemake.output[0])
before = read_numbers(snakemake.input[0]) if snakemake.input else None
write_numbers(output, add_one(int(output.stem[1:]), before))
