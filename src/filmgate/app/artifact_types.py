"""Which types of artifacts there are: those that ship, and those that installed packages offer."""

from collections.abc import Iterator
from functools import cache

from filmgate.app.entry_points import loaded, offered
from filmgate.core.errors import Invalid
from filmgate.core.payloads.artifact_type import ArtifactType
from filmgate.core.payloads.built_in import BUILT_IN
from filmgate.core.payloads.registry import Registry

ENTRY_POINTS = "filmgate.artifact_types"
"""The group of entry points under which packages offer types: an `ArtifactType`, or several."""


@cache
def registry() -> Registry:
    """Every type that is known here; Unavailable or Invalid naming the package that is broken."""
    return BUILT_IN.with_types(_of_packages())


def _of_packages() -> Iterator[ArtifactType]:
    for entry in offered(ENTRY_POINTS):
        found = loaded(entry, "artifact type")
        types = found if isinstance(found, list | tuple) else [found]
        for each in types:
            if not isinstance(each, ArtifactType):
                raise Invalid(
                    f"the entry point {entry.name!r} = {entry.value} is no artifact type",
                    expected="an ArtifactType, or a list of them",
                    got=repr(each)[:200],
                )
            yield each
