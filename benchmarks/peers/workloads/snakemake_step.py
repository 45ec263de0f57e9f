"""One step as Snakemake's `script:` wants it."""

from pathlib import Path
from typing import Any

from peers.workloads.chain import add_one, read_numbers, write_numbers

snakemake: Any = globals()["snakemake"]
"""Set by Snakemake, which puts lines of its own above this file."""

made = Path(snakemake.output[0])
before = read_numbers(snakemake.input[0]) if snakemake.input else None
write_numbers(made, add_one(int(made.stem[1:]), before))
