"""Which pipelines there are: those that ship, and those that installed packages offer."""

import re
from typing import TYPE_CHECKING

from filmgate.core.errors import Invalid, Unavailable, UsageError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from filmgate.core.pipeline import Pipeline

BUILT_IN = ("episode",)
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")

ENTRY_POINTS = "filmgate.pipelines"
"""The group of entry points under which packages offer pipelines: a `Pipeline`, or a `Plan`."""


def names() -> list[str]:
    """The names of all pipelines, without loading any."""
    return sorted({*BUILT_IN, *(each.name for each in _offered())})


def load(name: str) -> "Pipeline":
    """The pipeline of that name; UsageError naming those there are, Unavailable where the
    package that offers it cannot be loaded."""
    if name == "episode":
        from filmgate.pipelines.episode.pipeline import EPISODE  # only where it is asked for

        return EPISODE
    offers = [offered for offered in _offered() if offered.name == name]
    if len({offered.value for offered in offers}) > 1:
        raise Invalid(
            f"several packages offer a pipeline {name!r}",
            expected="one entry point of that name",
            got=", ".join(offered.value for offered in offers),
            hint="Remove all but one of the packages",
        )
    if offers:
        return _checked(offers[0])
    raise UsageError(
        f"no pipeline {name!r}", expected=f"one of {', '.join(names())}", got=repr(name)
    )


def _offered() -> "list[EntryPoint]":
    from importlib import metadata  # slow; not for --help

    try:
        found = list(metadata.entry_points(group=ENTRY_POINTS))
    except Exception as error:
        raise Unavailable(
            "the entry points of the installed packages cannot be read",
            got=f"{type(error).__name__}: {error}",
            hint="Mend or remove the package whose entry_points.txt is broken",
        ) from error
    good = [each for each in found if each.name not in BUILT_IN and _NAME.fullmatch(each.name)]
    return sorted(good, key=lambda each: (each.name, each.value))


def _checked(offered: "EntryPoint") -> "Pipeline":
    from filmgate.core.pipeline import Pipeline  # slow; not for --help
    from filmgate.core.plan import Plan

    where = f"the entry point {offered.name!r} = {offered.value}"
    try:
        found = offered.load()
    except (Exception, SystemExit) as error:
        raise Unavailable(
            f"pipeline {offered.name!r} cannot be loaded",
            expected=f"{where} to be importable",
            got=f"{type(error).__name__}: {error}",
            hint="Mend or reinstall the package that offers it",
        ) from error
    pipeline = Pipeline(plan=found) if isinstance(found, Plan) else found
    if not isinstance(pipeline, Pipeline):
        raise Invalid(f"{where} is no pipeline", expected="a Pipeline or a Plan", got=repr(found))
    if pipeline.plan.pipeline != offered.name:
        raise Invalid(
            f"{where} goes by two names",
            expected=f"a plan called {offered.name!r}",
            got=repr(pipeline.plan.pipeline),
        )
    return pipeline
