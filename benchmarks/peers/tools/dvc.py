"""DVC."""

from peers.peer import Peer, find_files
from peers.workspace import PEERS, Workspace


def prepare(workspace: Workspace) -> None:
    """Create a repository without git, with one stage per step."""
    workspace.run_successfully(["dvc", "init", "--no-scm", "--quiet"])
    workspace.run_successfully(["dvc", "config", "core.check_update", "false"])
    lines = ["stages:"]
    for index in range(workspace.steps):
        lines.append(f"  s{index}:")
        lines.append(f"    cmd: python -m peers.workloads.file_step {index}")
        if index:
            lines.append(f"    deps: [n{index - 1}.json]")
        lines.append(f"    outs: [n{index}.json]")
    (workspace.folder / "dvc.yaml").write_text("\n".join(lines) + "\n")


PEER = Peer(
    name="DVC",
    requirements=("dvc",),
    distribution="dvc",
    how="One stage per step in `dvc.yaml`, each a Python command with `deps` and `outs`, `dvc "
    "repro` in a repository without git; default cache and link type.",
    environment={"DVC_NO_ANALYTICS": "1", "DVC_SITE_CACHE_DIR": str(PEERS / "home" / "dvc")},
    prepare=prepare,
    run=lambda workspace: ["dvc", "repro"],
    run_from=lambda workspace, step: ["dvc", "repro", "--downstream", f"s{step}"],
    run_from_note="`dvc repro --downstream s3`",
    stored_files=lambda workspace: find_files(workspace, "n*.json"),
    result_file=lambda workspace: workspace.folder / f"n{workspace.last}.json",
    halt_pattern=r"n\d+\.json",
)
