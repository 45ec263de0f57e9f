"""No tool at all: the floor."""

from peers.peer import Peer, files

PEER = Peer(
    name="Plain Python",
    how="One process and no tool: each file written to a draft, fsynced, renamed, its folder "
    "fsynced. Every run does all steps.",
    run=lambda place: ["python", "-m", "peers.workloads.plain_chain", "0"],
    run_from=lambda place, step: ["python", "-m", "peers.workloads.plain_chain", str(step)],
    from_told="the loop begins at step k",
    stored=lambda place: files(place, "n*.json"),
    final=lambda place: place.folder / f"n{place.last}.json",
    halts_at=r"n\d+\.json",
)
