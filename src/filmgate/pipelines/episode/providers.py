"""Choice of the model for a task: the first preferred one that is available."""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, TypeVar

from filmgate.core.errors import Unavailable
from filmgate.core.ports import StageContext
from filmgate.core.resources import Resource

Model = TypeVar("Model")

BUILT_IN: Literal["built-in"] = "built-in"
"""The name, in `models` settings, of the model that comes with the installed packages."""

Loaders = Mapping[str, Callable[[Resource], Model]]
"""Loader of each model in the local model folder, by model name."""


def load_first_available(
    context: StageContext,
    preferred: Sequence[str],
    loaders: Loaders[Model],
    built_in: Callable[[], Model] | None = None,
) -> Model:
    """Load the first preferred model that is available.

    Raises Unavailable, naming the models, if none is available. Raises Invalid if the weights of
    a model are damaged: a better model that was added is never skipped silently.
    """
    for name in preferred:
        if name == BUILT_IN and built_in is not None:
            return built_in()
        resource = context.resource(name) if name in loaders else None
        if resource is not None:
            return loaders[name](resource)
    wanted = " or ".join(name for name in preferred if name != BUILT_IN) or "none is allowed"
    raise Unavailable(
        f"no model is available ({wanted}): `filmgate models list` shows where to get one"
    )
