"""Versions of the installed distributions that a stage depends on."""

from collections.abc import Iterable
from contextlib import suppress

from filmgate.core.errors import Unavailable


def tool_versions(names: Iterable[str], *, packages: str | None) -> dict[str, str]:
    """Version by distribution, without importing any; Unavailable naming the one that lacks.

    `packages`: what to install to have them all.
    """
    from importlib import metadata  # slow, and not every stage has tools

    versions = {}
    for name in names:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError as error:
            raise Unavailable(
                f"{name} is not installed",
                expected=f"the distribution {name}, which the stage names in its tools",
                got=f"no {name}",
                hint=f"pip install '{packages or name}'",
            ) from error
    return versions


def versions_there(names: Iterable[str]) -> dict[str, str]:
    """Version by distribution, of those that are installed."""
    from importlib import metadata  # slow, and not every stage has tools

    versions = {}
    for name in names:
        with suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return versions
