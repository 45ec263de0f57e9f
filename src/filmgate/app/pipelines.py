"""Which pipelines there are: those that ship, and those that installed packages offer."""

import re
from typing import TYPE_CHECKING

from filmgate.app.entry_points import loaded, offered
from filmgate.core.errors import Invalid, UsageError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from filmgate.core.pipeline import Pipeline

BUILT_IN = ("episode", "gameplay", "rulebook")
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
    if name == "gameplay":
        from filmgate.pipelines.gameplay.pipeline import GAMEPLAY  # likewise

        return GAMEPLAY
    if name == "rulebook":
        from filmgate.pipelines.rulebook.pipeline import RULEBOOK  # likewise

        return RULEBOOK
    offers = [each for each in _offered() if each.name == name]
    if len({each.value for each in offers}) > 1:
        raise Invalid(
            f"several packages offer a pipeline {name!r}",
            expected="one entry point of that name",
            got=", ".join(each.value for each in offers),
            hint="Remove all but one of the packages",
        )
    if offers:
        return _checked(offers[0])
    raise UsageError(
        f"no pipeline {name!r}", expected=f"one of {', '.join(names())}", got=repr(name)
    )


def _offered() -> "list[EntryPoint]":
    return [
        each
        for each in offered(ENTRY_POINTS)
        if each.name not in BUILT_IN and _NAME.fullmatch(each.name)
    ]


def _checked(entry: "EntryPoint") -> "Pipeline":
    from filmgate.core.pipeline import Pipeline  # slow; not for --help
    from filmgate.core.plan import Plan

    found = loaded(entry, "pipeline")
    where = f"the entry point {entry.name!r} = {entry.value}"
    pipeline = Pipeline(plan=found) if isinstance(found, Plan) else found
    if not isinstance(pipeline, Pipeline):
        raise Invalid(f"{where} is no pipeline", expected="a Pipeline or a Plan", got=repr(found))
    if pipeline.plan.pipeline != entry.name:
        raise Invalid(
            f"{where} goes by two names",
            expected=f"a plan called {entry.name!r}",
            got=repr(pipeline.plan.pipeline),
        )
    return pipeline
