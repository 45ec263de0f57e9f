"""Registry of pipelines: those built in, and those of installed packages."""

import re
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint
from importlib.util import find_spec
from pathlib import Path

from filmgate.core.errors import FilmgateError, Invalid, UsageError
from filmgate.core.pipeline import Pipeline
from filmgate.core.plan import Plan
from filmgate.core.summaries import Summary
from filmgate.db.schema import Branch
from filmgate.pipelines import built_in
from filmgate.wiring.entry_points import list_entry_points, load_entry_point

BUILT_IN = built_in.PIPELINES

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")

ENTRY_POINTS = "filmgate.pipelines"
"""Group of entry points that supply pipelines: each a `Pipeline` or a `Plan`."""

MIGRATIONS = "filmgate.migrations"
"""Group of entry points that name the folders of migrations: `PIPELINE = package:folder`, equal to
`Pipeline.migrations`."""


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


@cache
def branches() -> tuple[Branch, ...]:
    """Return the migrations of all installed pipelines, in the order of their names.

    Every process that opens the database calls this, so no pipeline is imported: the folders of
    built-in pipelines are data, and those of packages are values of entry points, which takes 5 ms
    to read. The newest revision is the last name of a file in a folder. Alembic reads the files
    only if the database lacks one of these revisions.

    Raises Invalid if a folder does not exist or several packages supply one pipeline.
    """
    locations = {name: each.migrations for name, each in BUILT_IN.items() if each.migrations}
    for entry in list_entry_points(MIGRATIONS):
        if not _NAME.fullmatch(entry.name) or entry.name in BUILT_IN:
            continue
        if locations.setdefault(entry.name, entry.value) != entry.value:
            raise Invalid(
                f"several packages supply migrations of pipeline {entry.name!r}",
                expected="one entry point of that name",
                got=f"{locations[entry.name]}, {entry.value}",
                hint="Remove all but one of the packages",
            )
    return tuple(
        Branch(pipeline=name, folder=_migrations_folder(name, locations[name]))
        for name in sorted(locations)
    )


def _migrations_folder(pipeline: str, location: str) -> Path:
    """Return the folder of `package:folder`, without importing the package itself; raises Invalid
    if it does not exist."""
    package, _, folder = location.partition(":")
    try:
        spec = find_spec(package)
    except (ImportError, ValueError):  # no such package, or not the name of one
        spec = None
    for parent in (spec.submodule_search_locations or ()) if spec else ():
        if folder and (path := Path(parent, folder)).is_dir():
            return path
    raise Invalid(
        f"the migrations of pipeline {pipeline!r} are missing",
        expected="package:folder, a folder in an installed package",
        got=repr(location),
        hint="Repair or reinstall the package of the pipeline",
    )


def _check_migrations(pipeline: Pipeline) -> None:
    """Raise Invalid if connections would not apply the migrations of a package's pipeline."""
    name = pipeline.plan.pipeline
    values = [entry.value for entry in list_entry_points(MIGRATIONS) if entry.name == name]
    if pipeline.migrations is not None and pipeline.migrations not in values:
        raise Invalid(
            f"the migrations of pipeline {name!r} have no entry point",
            expected=f"the entry point {name} = {pipeline.migrations} in the group {MIGRATIONS}",
            got=", ".join(values) or "none",
            hint="Add it to the package, so that connections apply the migrations",
        )


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
    _check_migrations(pipeline)
    return pipeline
