"""The former place of the functions that run one pass, for one release."""

import warnings
from collections.abc import Callable
from importlib import import_module


def moved_to(module: str) -> Callable[..., object]:
    """Return the function `run` of a module that moved; it warns, then calls the moved one.

    The module is imported only then: it is above this layer.
    """

    def run(*args: object, **kwargs: object) -> object:
        """Run the pass, with a warning that its function has moved."""
        warnings.warn(
            f"this function has moved: use {module}.run", DeprecationWarning, stacklevel=2
        )
        return import_module(module).run(*args, **kwargs)

    return run
