"""Dagster."""

import pickle

from peers.peer import Form, Peer, files
from peers.place import PEERS, Place

HOME = PEERS / "home" / "dagster"
SELECT = ["dagster", "asset", "materialize", "-m", "peers.workloads.dagster_chain", "--select"]


def prepare(place: Place) -> None:
    """Its home, which a user has once."""
    HOME.mkdir(parents=True, exist_ok=True)
    (HOME / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")


PEER = Peer(
    name="Dagster",
    requirements=("dagster",),
    distribution="dagster",
    how="An asset a step, `FilesystemIOManager` (pickles), the in-process executor (no process a "
    "step), `dagster asset materialize`. Every run does all steps.",
    environment={"DAGSTER_HOME": str(HOME)},
    prepare=prepare,
    run=lambda place: [*SELECT, "*"],
    run_from=lambda place, step: [*SELECT, f'key:"n{step}"+'],
    from_told="`--select 'key:\"n3\"+'`",
    stored=lambda place: files(place, "storage/n*"),
    final=lambda place: place.folder / "storage" / f"n{place.last}",
    form=Form(decode=pickle.loads, encode=lambda numbers, _: pickle.dumps(numbers)),
    final_form=Form(decode=pickle.loads, encode=lambda numbers, _: pickle.dumps(numbers)),
    halts_at=r"storage/n\d+",
)
