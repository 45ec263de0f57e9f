"""Snakemake."""

import shlex

from peers.peer import Peer, find_files
from peers.workspace import ROOT

SNAKEFILE = ROOT / "benchmarks" / "peers" / "workloads" / "Snakefile"
RUN = ["snakemake", "--cores=1", "--snakefile", str(SNAKEFILE)]
RECOVER = f"{shlex.join(RUN)} --unlock && {shlex.join(RUN)} --rerun-incomplete"

PEER = Peer(
    name="Snakemake",
    requirements=("snakemake",),
    distribution="snakemake",
    how="A wildcard rule with `script:`, `snakemake --cores=1`; default rerun triggers "
    "(mtime, params, input, software environment, code).",
    run=lambda workspace: RUN,
    run_from=lambda workspace, step: [*RUN, "--forcerun", f"n{step}.json"],
    run_from_note="`snakemake --forcerun n3.json`",
    recover=lambda workspace: ["sh", "-c", RECOVER],
    recover_note="`--unlock`, then `--rerun-incomplete`",
    stored_files=lambda workspace: find_files(workspace, "n*.json"),
    result_file=lambda workspace: workspace.folder / f"n{workspace.last}.json",
    halt_pattern=r"n\d+\.json",
)
