"""Versions of the installed distributions that a stage depends on."""

from collections.abc import Iterable
from contextlib import suppress

from filmgate.core.errors import Unavailable


def required_versions(names: Iterable[str], *, packages: str | None) -> dict[str, str]:
    """Read the version of every distribution, without importing any.

    `packages`: the requirement with which pip installs all of them, for the hint. Raises
    Unavailable, which names the first distribution that is not installed.
    """
    from importlib import metadata  # slow, and not every stage has tools

    versions = {}
    for name in names:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError as error:
            raise Unavailable(
                f"{name} is not installed",
                expected=f"the distribution {name}, which the stage declares as a tool",
                got=f"no {name}",
                hint=f"pip install '{packages or name}'",
            ) from error
    return versions


def installed_versions(names: Iterable[str]) -> dict[str, str]:
    """Read the version of every distribution that is installed; the others are left out."""
    from importlib import metadata  # slow, and not every stage has tools

    versions = {}
    for name in names:
        with suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return versions
