"""Snakemake."""

import shlex

from peers.peer import Peer, files
from peers.place import ROOT

SNAKEFILE = ROOT / "benchmarks" / "peers" / "workloads" / "Snakefile"
RUN = ["snakemake", "--cores=1", "--snakefile", str(SNAKEFILE)]
RECOVER = f"{shlex.join(RUN)} --unlock && {shlex.join(RUN)} --rerun-incomplete"

PEER = Peer(
    name="Snakemake",
    requirements=("snakemake",),
    distribution="snakemake",
    how="A wildcard rule with `script:`, `snakemake --cores=1`; rerun triggers as they come "
    "(mtime, params, input, software environment, code).",
    run=lambda place: RUN,
    run_from=lambda place, step: [*RUN, "--forcerun", f"n{step}.json"],
    from_told="`snakemake --forcerun n3.json`",
    recover=lambda place: ["sh", "-c", RECOVER],
    recover_told="`--unlock`, then `--rerun-incomplete`",
    stored=lambda place: files(place, "n*.json"),
    final=lambda place: place.folder / f"n{place.last}.json",
    halts_at=r"n\d+\.json",
)
