"""The chain in Hamilton: one function, parameterized into one node per step, cached as JSON."""

from hamilton.function_modifiers import cache, parameterize, source, value

from peers.workloads.chain import STEPS, add_one


@cache(format="json")
def n0() -> list:  # type: ignore[type-arg]
    """Compute step 0, which has no input."""
    return add_one(0, None)


@cache(format="json")
@parameterize(
    **{
        f"n{index}": {"before": source(f"n{index - 1}"), "index": value(index)}
        for index in range(1, STEPS)
    }
)
def add(before: list, index: int) -> list:  # type: ignore[type-arg]
    """Compute any other step."""
    return add_one(index, before)
