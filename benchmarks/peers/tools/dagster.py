"""Dagster."""

import pickle

from peers.peer import Codec, Peer, find_files
from peers.workspace import PEERS, Workspace

HOME = PEERS / "home" / "dagster"
SELECT = ["dagster", "asset", "materialize", "-m", "peers.workloads.dagster_chain", "--select"]


def prepare(workspace: Workspace) -> None:
    """Write Dagster's home, which is shared by all projects of a user."""
    HOME.mkdir(parents=True, exist_ok=True)
    (HOME / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")


PEER = Peer(
    name="Dagster",
    requirements=("dagster",),
    distribution="dagster",
    how="One asset per step, `FilesystemIOManager` (pickles), the in-process executor (no process "
    "per step), `dagster asset materialize`. Every run does all steps.",
    environment={"DAGSTER_HOME": str(HOME)},
    prepare=prepare,
    run=lambda workspace: [*SELECT, "*"],
    run_from=lambda workspace, step: [*SELECT, f'key:"n{step}"+'],
    run_from_note="`--select 'key:\"n3\"+'`",
    stored_files=lambda workspace: find_files(workspace, "storage/n*"),
    result_file=lambda workspace: workspace.folder / "storage" / f"n{workspace.last}",
    codec=Codec(decode=pickle.loads, encode=lambda numbers, _: pickle.dumps(numbers)),
    result_codec=Codec(decode=pickle.loads, encode=lambda numbers, _: pickle.dumps(numbers)),
    halt_pattern=r"storage/n\d+",
)
