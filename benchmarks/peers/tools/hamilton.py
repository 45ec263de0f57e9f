"""Hamilton."""

from peers.peer import Peer, files

RUN = ["python", "-m", "peers.workloads.hamilton_run"]

PEER = Peer(
    name="Hamilton",
    requirements=("sf-hamilton",),
    distribution="sf-hamilton",
    how='One function parameterized into a node a step, `@cache(format="json")`, a driver '
    "`with_cache()`; the script writes what the driver returns as the result.",
    environment={"HAMILTON_TELEMETRY_ENABLED": "false"},
    run=lambda place: RUN,
    run_from=lambda place, step: [*RUN, str(step)],
    from_told="`with_cache(recompute=[n3 …])`",
    stored=lambda place: files(place, ".hamilton_cache/**/*.json"),
    final=lambda place: place.folder / "final.json",
    halts_at=r"\.hamilton_cache/.*\.json",
)
