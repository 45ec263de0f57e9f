"""The chain in Kedro: one node per step, with JSON datasets by a pattern in the catalog."""

from functools import partial

from kedro.pipeline import Pipeline, node

from peers.workloads.chain import STEPS, add_one


def first() -> list[int]:
    """Compute step 0, which has no input."""
    return add_one(0, None)


def register_pipelines() -> dict[str, Pipeline]:
    """Return the project's pipelines; Kedro calls this."""
    nodes = [node(first, inputs=None, outputs="n0", name="s0")]
    for index in range(1, STEPS):
        work = partial(add_one, index)
        work.__name__ = f"add_{index}"  # type: ignore[attr-defined]
        nodes.append(node(work, inputs=f"n{index - 1}", outputs=f"n{index}", name=f"s{index}"))
    return {"__default__": Pipeline(nodes)}
