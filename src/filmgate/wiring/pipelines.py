"""Registry of pipelines: those built in, and those of installed packages."""

import re
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint

from filmgate.core.errors import FilmgateError, Invalid, UsageError
from filmgate.core.pipeline import Pipeline
from filmgate.core.plan import Plan
from filmgate.core.summaries import Summary
from filmgate.pipelines import built_in
from filmgate.wiring.entry_points import list_entry_points, load_entry_point

BUILT_IN = built_in.PIPELINES

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")

ENTRY_POINTS = "filmgate.pipelines"
"""Group of entry points that supply pipelines: each a `Pipeline` or a `Plan`."""


def names() -> list[str]:
    """Return the names of all pipelines, without loading any."""
    return sorted({*BUILT_IN, *(entry.name for entry in _package_entry_points())})


def load(name: str) -> Pipeline:
    """Load a pipeline by name.

    Raises UsageError if the name is unknown, Invalid if several packages supply the pipeline or its
    entry point is invalid, and Unavailable if the package cannot be loaded.
    """
    if name in BUILT_IN:
        module, _, attribute = BUILT_IN[name].target.partition(":")
        pipeline: Pipeline = getattr(import_module(module), attribute)
        return pipeline
    entries = [entry for entry in _package_entry_points() if entry.name == name]
    if len({entry.value for entry in entries}) > 1:
        raise Invalid(
            f"several packages supply a pipeline {name!r}",
            expected="one entry point of that name",
            got=", ".join(entry.value for entry in entries),
            hint="Remove all but one of the packages",
        )
    if entries:
        return _load_package_pipeline(entries[0])
    raise UsageError(
        f"pipeline {name!r} is unknown", expected=f"one of {', '.join(names())}", got=repr(name)
    )


@cache
def summaries_of(name: str) -> tuple[Summary, ...]:
    """Return the summaries of a pipeline; none if it is not installed.

    A consumer asks for every manifest, and the entry points of packages are slow to read.
    """
    return load(name).summaries if name in names() else ()


def load_all() -> Iterator[Pipeline]:
    """Yield the built-in pipelines, then those of packages that can be loaded."""
    yield from map(load, BUILT_IN)
    yield from load_packaged()


@cache
def load_packaged() -> tuple[Pipeline, ...]:
    """Return the pipelines of installed packages, without those that cannot be loaded."""
    found = []
    for name in names():
        with suppress(FilmgateError):
            found += [load(name)] if name not in BUILT_IN else []
    return tuple(found)


def example(name: str) -> str:
    """Return example arguments of `filmgate run` for a pipeline."""
    return BUILT_IN[name].example if name in BUILT_IN else f"{name} INPUT"


def first_example() -> str:
    """Return example arguments of `filmgate run` for the first built-in pipeline."""
    return next(iter(BUILT_IN.values())).example


def _package_entry_points() -> list[EntryPoint]:
    return [
        entry
        for entry in list_entry_points(ENTRY_POINTS)
        if entry.name not in BUILT_IN and _NAME.fullmatch(entry.name)
    ]


def _load_package_pipeline(entry: EntryPoint) -> Pipeline:
    loaded = load_entry_point(entry, "pipeline")
    what = f"the entry point {entry.name!r} = {entry.value}"
    pipeline = Pipeline(plan=loaded) if isinstance(loaded, Plan) else loaded
    if not isinstance(pipeline, Pipeline):
        raise Invalid(
            f"{what} is not a pipeline", expected="a Pipeline or a Plan", got=repr(loaded)
        )
    if pipeline.plan.pipeline != entry.name:
        raise Invalid(
            f"{what} does not match the name of its plan",
            expected=f"a plan named {entry.name!r}",
            got=repr(pipeline.plan.pipeline),
        )
    return pipeline
