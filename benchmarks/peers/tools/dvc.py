"""DVC."""

from peers.peer import Peer, files
from peers.place import PEERS, Place


def prepare(place: Place) -> None:
    """A repository without git, and a stage a step."""
    place.run_well(["dvc", "init", "--no-scm", "--quiet"])
    place.run_well(["dvc", "config", "core.check_update", "false"])
    lines = ["stages:"]
    for index in range(place.steps):
        lines.append(f"  s{index}:")
        lines.append(f"    cmd: python -m peers.workloads.file_step {index}")
        if index:
            lines.append(f"    deps: [n{index - 1}.json]")
        lines.append(f"    outs: [n{index}.json]")
    (place.folder / "dvc.yaml").write_text("\n".join(lines) + "\n")


PEER = Peer(
    name="DVC",
    requirements=("dvc",),
    distribution="dvc",
    how="A stage a step in `dvc.yaml`, each a Python command with `deps` and `outs`, `dvc repro` "
    "in a repository without git; cache and link type as they come.",
    environment={"DVC_NO_ANALYTICS": "1", "DVC_SITE_CACHE_DIR": str(PEERS / "home" / "dvc")},
    prepare=prepare,
    run=lambda place: ["dvc", "repro"],
    run_from=lambda place, step: ["dvc", "repro", "--downstream", f"s{step}"],
    from_told="`dvc repro --downstream s3`",
    stored=lambda place: files(place, "n*.json"),
    final=lambda place: place.folder / f"n{place.last}.json",
    halts_at=r"n\d+\.json",
)
