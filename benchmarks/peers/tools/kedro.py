"""Kedro."""

from peers.install import version
from peers.peer import Peer, find_files
from peers.workspace import Workspace

CATALOG = """"n{index}":
  type: json.JSONDataset
  filepath: data/n{index}.json
"""
PROJECT = """[tool.kedro]
package_name = "chain"
project_name = "chain"
kedro_init_version = "{version}"
"""


def prepare(workspace: Workspace) -> None:
    """Write the files of a Kedro project."""
    root = workspace.folder
    package = root / "src" / "chain"
    for folder in (package, root / "conf" / "base", root / "conf" / "local"):
        folder.mkdir(parents=True)
    (root / "data").mkdir()
    (root / "pyproject.toml").write_text(PROJECT.format(version=version("kedro", "kedro")))
    (root / "conf" / "base" / "catalog.yml").write_text(CATALOG)
    (package / "__init__.py").touch()
    (package / "settings.py").touch()
    (package / "pipeline_registry.py").write_text(
        "from peers.workloads.kedro_chain import register_pipelines  # noqa: F401\n"
    )


PEER = Peer(
    name="Kedro",
    requirements=("kedro", "kedro-datasets[json-jsondataset]"),
    distribution="kedro",
    how="One `node` per step, `json.JSONDataset` through a catalog pattern, `kedro run` with the "
    "sequential runner. Every run does all steps.",
    environment={"DO_NOT_TRACK": "1", "KEDRO_DISABLE_TELEMETRY": "1"},
    prepare=prepare,
    run=lambda workspace: ["kedro", "run"],
    run_from=lambda workspace, step: ["kedro", "run", f"--from-nodes=s{step}"],
    run_from_note="`kedro run --from-nodes=s3`",
    stored_files=lambda workspace: find_files(workspace, "data/n*.json"),
    result_file=lambda workspace: workspace.folder / "data" / f"n{workspace.last}.json",
    halt_pattern=r"n\d+\.json",
)
