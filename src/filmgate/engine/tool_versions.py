"""Versions of the installed distributions that a stage depends on."""

from collections.abc import Iterable

from filmgate.core.errors import Unavailable


def tool_versions(names: Iterable[str], *, extra: str) -> dict[str, str]:
    """Version by distribution, without importing any; Unavailable naming the one that lacks."""
    from importlib import metadata  # slow, and not every stage has tools

    versions = {}
    for name in names:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError as error:
            raise Unavailable(
                f"{name} is not installed",
                expected=f"the packages of the extra {extra!r}",
                got=f"no {name}",
                hint=f"pip install 'filmgate[{extra}]'",
            ) from error
    return versions
