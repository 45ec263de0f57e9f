"""Which model does a task: the first of the preferred ones that is there."""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, TypeVar

from filmgate.core.errors import Unavailable
from filmgate.core.ports import Bench
from filmgate.core.resources import Resource

Model = TypeVar("Model")

BUILT_IN: Literal["built-in"] = "built-in"
"""The name, in preferences, of what comes with the installed packages."""

Loaders = Mapping[str, Callable[[Resource], Model]]
"""How each model of the local folder is loaded, by its name there."""


def first_there(
    bench: Bench,
    preferred: Sequence[str],
    loaders: Loaders[Model],
    built_in: Callable[[], Model] | None = None,
) -> Model:
    """The first of the preferred models that is there, loaded.

    Raises Unavailable naming them where none is, and Invalid where one's weights are spoilt:
    a better model that was added is never passed over in silence.
    """
    for name in preferred:
        if name == BUILT_IN and built_in is not None:
            return built_in()
        resource = bench.resource(name) if name in loaders else None
        if resource is not None:
            return loaders[name](resource)
    wanted = " or ".join(name for name in preferred if name != BUILT_IN) or "that is allowed"
    raise Unavailable(f"there is no model {wanted}: `filmgate models list` tells where to get one")
