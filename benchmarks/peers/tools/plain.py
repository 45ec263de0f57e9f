"""Plain Python without a tool: the lower bound."""

from peers.peer import Peer, find_files

PEER = Peer(
    name="Plain Python",
    how="One process and no tool: each file written to a draft, fsynced, renamed, its folder "
    "fsynced. Every run does all steps.",
    run=lambda workspace: ["python", "-m", "peers.workloads.plain_chain", "0"],
    run_from=lambda workspace, step: ["python", "-m", "peers.workloads.plain_chain", str(step)],
    run_from_note="the loop starts at step k",
    stored_files=lambda workspace: find_files(workspace, "n*.json"),
    result_file=lambda workspace: workspace.folder / f"n{workspace.last}.json",
    halt_pattern=r"n\d+\.json",
)
