"""Choose the model for a task: the first available one in order of preference."""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, TypeVar

from filmgate.core.errors import Unavailable
from filmgate.core.ports import StageContext
from filmgate.core.resources import Resource

Model = TypeVar("Model")

BUILT_IN: Literal["built-in"] = "built-in"
"""Name, in `models` settings, of the model that is part of the installed packages."""

Loaders = Mapping[str, Callable[[Resource], Model]]
"""Loader of each model in the local model folder, by model name."""


def load_first_available(
    context: StageContext,
    preferred: Sequence[str],
    loaders: Loaders[Model],
    built_in: Callable[[], Model] | None = None,
) -> Model:
    """Load the first available model in order of preference.

    Raises Unavailable, with the names of the models, if none is available. Raises Invalid if the
    weights of the chosen model are damaged; the next model is not tried, because a model that was
    added must not be skipped silently.
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
