"""The tables of queries and actions: of the platform, of pipelines and of installed packages."""

from functools import cache
from importlib import import_module
from typing import cast

from filmgate.core.errors import Invalid, UsageError
from filmgate.core.query import AnyAction, AnyQuery, Query
from filmgate.pipelines import built_in
from filmgate.services.queries.entries import BUILT_IN
from filmgate.wiring import pipelines
from filmgate.wiring.entry_points import list_entry_points, load_entry_point

ENTRY_POINTS = "filmgate.queries"
"""Group of entry points that supply queries: each a `Query` of the same name."""


@cache
def load(name: str) -> AnyQuery:
    """Load a query by name.

    Raises UsageError for an unknown name, Invalid if its entry point is not a query of this name,
    Unavailable if the package cannot be loaded.
    """
    entry = BUILT_IN.get(name)
    if entry is not None:
        return cast("AnyQuery", _target(entry.target))
    for point in list_entry_points(ENTRY_POINTS):
        if point.name == name:
            loaded = load_entry_point(point, "query")
            if not isinstance(loaded, Query) or loaded.name != name:
                raise Invalid(
                    f"the entry point {name!r} = {point.value} is not a query of this name",
                    expected=f"a Query named {name!r}",
                    got=repr(loaded)[:200],
                )
            return loaded
    if (found := _of_packages().get(name)) is not None:
        return found
    raise UsageError(f"query {name!r} is unknown", expected=f"one of {', '.join(names())}")


@cache
def load_action(name: str) -> AnyAction:
    """Load an action by the two words of its command; raises UsageError for unknown ones."""
    if (entry := built_in.ACTIONS.get(name)) is not None:
        return cast("AnyAction", _target(entry.target))
    for pipeline in pipelines.load_packaged():
        for found in pipeline.actions:
            if found.name == name:
                return found
    known = ", ".join([*built_in.ACTIONS, *packaged_actions()])
    raise UsageError(f"action {name!r} is unknown", expected=f"one of {known}")


def packaged() -> list[str]:
    """Return the names of the queries of installed packages."""
    points = [point.name for point in list_entry_points(ENTRY_POINTS)]
    return [name for name in dict.fromkeys([*points, *_of_packages()]) if name not in BUILT_IN]


def packaged_actions() -> list[str]:
    """Return the names of the actions of the pipelines of installed packages."""
    own = [action.name for pipeline in pipelines.load_packaged() for action in pipeline.actions]
    return [name for name in own if name not in built_in.ACTIONS]


def names() -> list[str]:
    """Return the names of all queries."""
    return [*BUILT_IN, *packaged()]


def _of_packages() -> dict[str, AnyQuery]:
    """Return the queries in the descriptors of the pipelines of installed packages."""
    return {
        query.name: query for pipeline in pipelines.load_packaged() for query in pipeline.queries
    }


def _target(target: str) -> object:
    module, _, attribute = target.partition(":")
    return getattr(import_module(module), attribute)
