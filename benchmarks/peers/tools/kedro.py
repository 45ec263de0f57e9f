"""Kedro."""

from peers.install import version
from peers.peer import Peer, files
from peers.place import Place

CATALOG = """"n{index}":
  type: json.JSONDataset
  filepath: data/n{index}.json
"""
PROJECT = """[tool.kedro]
package_name = "chain"
project_name = "chain"
kedro_init_version = "{version}"
"""


def prepare(place: Place) -> None:
    """The skeleton of a project."""
    package = place.folder / "src" / "chain"
    for folder in (package, place.folder / "conf" / "base", place.folder / "conf" / "local"):
        folder.mkdir(parents=True)
    (place.folder / "data").mkdir()
    (place.folder / "pyproject.toml").write_text(PROJECT.format(version=version("kedro", "kedro")))
    (place.folder / "conf" / "base" / "catalog.yml").write_text(CATALOG)
    (package / "__init__.py").touch()
    (package / "settings.py").touch()
    (package / "pipeline_registry.py").write_text(
        "from peers.workloads.kedro_chain import register_pipelines  # noqa: F401\n"
    )


PEER = Peer(
    name="Kedro",
    requirements=("kedro", "kedro-datasets[json-jsondataset]"),
    distribution="kedro",
    how="A `node` a step, `json.JSONDataset` through a catalog pattern, `kedro run` with the "
    "sequential runner. Every run does all steps.",
    environment={"DO_NOT_TRACK": "1", "KEDRO_DISABLE_TELEMETRY": "1"},
    prepare=prepare,
    run=lambda place: ["kedro", "run"],
    run_from=lambda place, step: ["kedro", "run", f"--from-nodes=s{step}"],
    from_told="`kedro run --from-nodes=s3`",
    stored=lambda place: files(place, "data/n*.json"),
    final=lambda place: place.folder / "data" / f"n{place.last}.json",
    halts_at=r"n\d+\.json",
)
