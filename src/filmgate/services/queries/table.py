"""The table of all queries: those of the platform, of pipelines and of installed packages."""

from functools import cache
from importlib import import_module
from typing import Any

from filmgate.core.errors import Invalid, UsageError
from filmgate.core.query import Query
from filmgate.services.queries.entries import BUILT_IN
from filmgate.wiring.entry_points import list_entry_points, load_entry_point

ENTRY_POINTS = "filmgate.queries"
"""Group of entry points that supply queries: each a `Query` of the same name."""


@cache
def load(name: str) -> Query[Any, Any]:
    """Load a query by name.

    Raises UsageError for an unknown name, Invalid if its entry point is not a query of this name,
    Unavailable if the package cannot be loaded.
    """
    entry = BUILT_IN.get(name)
    if entry is not None:
        module, _, attribute = entry.target.partition(":")
        query: Query[Any, Any] = getattr(import_module(module), attribute)
        return query
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
    raise UsageError(f"query {name!r} is unknown", expected=f"one of {', '.join(names())}")


def packaged() -> list[str]:
    """Return the names of the queries of installed packages, without loading any."""
    return [p.name for p in list_entry_points(ENTRY_POINTS) if p.name not in BUILT_IN]


def names() -> list[str]:
    """Return the names of all queries, without loading any."""
    return [*BUILT_IN, *packaged()]


def load_all() -> list[Query[Any, Any]]:
    """Load all queries."""
    return [load(name) for name in names()]
