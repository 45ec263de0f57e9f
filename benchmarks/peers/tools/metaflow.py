"""Metaflow. A flow's graph is read from its source, so the source is written out."""

import gzip
import json
import pickle
from pathlib import Path

from peers.peer import Form, Peer, files
from peers.place import Place

HEAD = '''"""A chain of steps, each keeping its numbers as an artifact."""

from metaflow import FlowSpec, step

from peers.workloads.chain import add_one


class Chain(FlowSpec):
'''
STEP = """    @step
    def {name}(self):
        self.numbers = add_one({index}, {before})
"""
PICKLED = Form(
    decode=lambda data: pickle.loads(gzip.decompress(data)),
    encode=lambda numbers, _: gzip.compress(pickle.dumps(numbers)),
)


def name_of(index: int, steps: int) -> str:
    """The first step has to be `start`, and the last `end`."""
    return {0: "start", steps - 1: "end"}.get(index, f"s{index}")


def prepare(place: Place) -> None:
    """The flow's file."""
    parts = [HEAD]
    for index in range(place.steps):
        before = "self.numbers" if index else "None"
        parts.append(STEP.format(name=name_of(index, place.steps), index=index, before=before))
        if index < place.last:
            parts.append(f"        self.next(self.{name_of(index + 1, place.steps)})\n")
        parts.append("\n")
    parts.append('\nif __name__ == "__main__":\n    Chain()\n')
    (place.folder / "flow.py").write_text("".join(parts))


def final(place: Place) -> Path | None:
    """The artifact of the newest run that came to its end."""
    store = place.folder / ".metaflow" / "Chain"
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
    how="A `@step` a step, the numbers an artifact in the local datastore (gzipped pickles, "
    "addressed by content), `python flow.py run`. Every run does all steps.",
    environment={"METAFLOW_DEFAULT_DATASTORE": "local"},
    prepare=prepare,
    run=lambda place: ["python", "flow.py", "run"],
    run_from=lambda place, step: ["python", "flow.py", "resume", name_of(step, place.steps)],
    from_told="`python flow.py resume s3`",
    recover=lambda place: ["python", "flow.py", "resume"],
    recover_told="`python flow.py resume`",
    stored=lambda place: files(place, ".metaflow/Chain/data/*/*"),
    final=final,
    form=PICKLED,
    final_form=PICKLED,
    halts_at=r"\.metaflow/Chain/data/",
)
