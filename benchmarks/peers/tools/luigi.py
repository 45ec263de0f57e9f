"""Luigi."""

from peers.peer import Peer, find_files
from peers.workspace import Workspace

RETURN_CODES = """[retcode]
already_running=10
missing_data=20
not_run=25
task_failed=30
scheduling_error=35
unhandled_exception=40
"""
"""Exit codes that Luigi's documentation recommends; by default it exits with 0 if a task fails."""


def prepare(workspace: Workspace) -> None:
    """Write Luigi's configuration."""
    (workspace.folder / "luigi.cfg").write_text(RETURN_CODES)


def command(workspace: Workspace) -> list[str]:
    """Return the command for the last task; Luigi finds the tasks on which it depends."""
    options = ["--module", "peers.workloads.luigi_chain", "Step", "--index", str(workspace.last)]
    return ["luigi", *options, "--local-scheduler"]


PEER = Peer(
    name="Luigi",
    requirements=("luigi",),
    distribution="luigi",
    how="One `Task` per step with a JSON `LocalTarget` (it writes to a temporary name and "
    "renames), `luigi --module … --local-scheduler`, return codes as its documentation recommends.",
    environment={"LUIGI_CONFIG_PATH": "luigi.cfg"},
    prepare=prepare,
    run=command,
    run_from_note="none: the targets are deleted by hand",
    stored_files=lambda workspace: find_files(workspace, "n*.json"),
    result_file=lambda workspace: workspace.folder / f"n{workspace.last}.json",
    halt_pattern=r"n\d+\.json",
)
