"""Metaflow. It reads a flow's graph from its source, so that the source is generated."""

import gzip
import json
import pickle
from pathlib import Path

from peers.peer import Codec, Peer, find_files
from peers.workspace import Workspace

HEAD = '''"""A chain of steps, each keeping its numbers as an artifact."""

from metaflow import FlowSpec, step

from peers.workloads.chain import add_one


class Chain(FlowSpec):
'''
STEP = """    @step
    def {name}(self):
        self.numbers = add_one({index}, {before})
"""
PICKLED = Codec(
    decode=lambda data: pickle.loads(gzip.decompress(data)),
    encode=lambda numbers, _: gzip.compress(pickle.dumps(numbers)),
)


def name_of(index: int, steps: int) -> str:
    """Return the name of a step; Metaflow requires `start` for the first and `end` for the last."""
    return {0: "start", steps - 1: "end"}.get(index, f"s{index}")


def prepare(workspace: Workspace) -> None:
    """Write the source of the flow."""
    parts = [HEAD]
    for index in range(workspace.steps):
        before = "self.numbers" if index else "None"
        parts.append(STEP.format(name=name_of(index, workspace.steps), index=index, before=before))
        if index < workspace.last:
            parts.append(f"        self.next(self.{name_of(index + 1, workspace.steps)})\n")
        parts.append("\n")
    parts.append('\nif __name__ == "__main__":\n    Chain()\n')
    (workspace.folder / "flow.py").write_text("".join(parts))


def result_file(workspace: Workspace) -> Path | None:
    """Find the artifact of the newest complete run; None if there is none."""
    store = workspace.folder / ".metaflow" / "Chain"
    found = [path for path in store.glob("*/end/*/0.data.json") if path.stat().st_size]
    if not found:
        return None
    newest = max(found, key=lambda path: int(path.relative_to(store).parts[0]))
    digest: str = json.loads(newest.read_bytes())["objects"]["numbers"]
    return store / "data" / digest[:2] / digest


PEER = Peer(
    name="Metaflow",
    requirements=("metaflow",),
    distribution="metaflow",
    how="One `@step` per step, the numbers as an artifact in the local datastore (gzipped pickles, "
    "addressed by content), `python flow.py run`. Every run does all steps.",
    environment={"METAFLOW_DEFAULT_DATASTORE": "local"},
    prepare=prepare,
    run=lambda workspace: ["python", "flow.py", "run"],
    run_from=lambda workspace, step: [
        "python",
        "flow.py",
        "resume",
        name_of(step, workspace.steps),
    ],
    run_from_note="`python flow.py resume s3`",
    recover=lambda workspace: ["python", "flow.py", "resume"],
    recover_note="`python flow.py resume`",
    stored_files=lambda workspace: find_files(workspace, ".metaflow/Chain/data/*/*"),
    result_file=result_file,
    codec=PICKLED,
    result_codec=PICKLED,
    halt_pattern=r"\.metaflow/Chain/data/",
)
