"""Registry of artifact types: those built in, and those of installed packages."""

from collections.abc import Iterator
from functools import cache

from filmgate.core.errors import Invalid
from filmgate.core.payloads.artifact_type import ArtifactType
from filmgate.core.payloads.built_in import BUILT_IN
from filmgate.core.payloads.registry import Registry
from filmgate.wiring.entry_points import list_entry_points, load_entry_point

ENTRY_POINTS = "filmgate.artifact_types"
"""Group of entry points that supply types: each an `ArtifactType`, or a list of them."""


@cache
def registry() -> Registry:
    """Return all artifact types; raises Unavailable or Invalid if a package is broken."""
    return BUILT_IN.with_types(_package_types())


def _package_types() -> Iterator[ArtifactType]:
    for entry in list_entry_points(ENTRY_POINTS):
        loaded = load_entry_point(entry, "artifact type")
        types = loaded if isinstance(loaded, list | tuple) else [loaded]
        for artifact_type in types:
            if not isinstance(artifact_type, ArtifactType):
                raise Invalid(
                    f"the entry point {entry.name!r} = {entry.value} is not an artifact type",
                    expected="an ArtifactType, or a list of them",
                    got=repr(artifact_type)[:200],
                )
            yield artifact_type
