"""Luigi."""

from peers.peer import Peer, files
from peers.place import Place

RETURN_CODES = """[retcode]
already_running=10
missing_data=20
not_run=25
task_failed=30
scheduling_error=35
unhandled_exception=40
"""
"""As its documentation recommends: by default a failed task exits with 0."""


def prepare(place: Place) -> None:
    """Its configuration."""
    (place.folder / "luigi.cfg").write_text(RETURN_CODES)


def command(place: Place) -> list[str]:
    """Ask for the last task; Luigi finds what it stands on."""
    asked = ["--module", "peers.workloads.luigi_chain", "Step", "--index", str(place.last)]
    return ["luigi", *asked, "--local-scheduler"]


PEER = Peer(
    name="Luigi",
    requirements=("luigi",),
    distribution="luigi",
    how="A `Task` a step with a JSON `LocalTarget` (it writes to a temporary name and renames), "
    "`luigi --module … --local-scheduler`, return codes as its documentation recommends.",
    environment={"LUIGI_CONFIG_PATH": "luigi.cfg"},
    prepare=prepare,
    run=command,
    from_told="no such way: one deletes the targets by hand",
    stored=lambda place: files(place, "n*.json"),
    final=lambda place: place.folder / f"n{place.last}.json",
    halts_at=r"n\d+\.json",
)
