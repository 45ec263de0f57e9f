"""Hamilton."""

from peers.peer import Peer, find_files

RUN = ["python", "-m", "peers.workloads.hamilton_run"]

PEER = Peer(
    name="Hamilton",
    requirements=("sf-hamilton",),
    distribution="sf-hamilton",
    how='One function parameterized into a node per step, `@cache(format="json")`, a driver '
    "`with_cache()`; the script writes what the driver returns as the result.",
    environment={"HAMILTON_TELEMETRY_ENABLED": "false"},
    run=lambda workspace: RUN,
    run_from=lambda workspace, step: [*RUN, str(step)],
    run_from_note="`with_cache(recompute=[n3 …])`",
    stored_files=lambda workspace: find_files(workspace, ".hamilton_cache/**/*.json"),
    result_file=lambda workspace: workspace.folder / "final.json",
    halt_pattern=r"\.hamilton_cache/.*\.json",
)
