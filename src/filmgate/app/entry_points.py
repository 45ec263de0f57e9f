"""What installed packages offer, by groups of entry points."""

import sys
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any

from filmgate.core.errors import Unavailable

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint


def offered(group: str) -> "list[EntryPoint]":
    """The entry points of a group, by name, without loading any."""
    from importlib import metadata  # slow; not for --help

    try:
        found = list(metadata.entry_points(group=group))
    except Exception as error:
        raise Unavailable(
            "the entry points of the installed packages cannot be read",
            got=f"{type(error).__name__}: {error}",
            hint="Mend or remove the package whose entry_points.txt is broken",
        ) from error
    return sorted(found, key=lambda each: (each.name, each.value))


def loaded(entry: "EntryPoint", what: str) -> Any:
    """The object behind an entry point; Unavailable where it cannot be imported."""
    try:
        with redirect_stdout(sys.stderr):  # standard output is for results
            return entry.load()
    except (Exception, SystemExit) as error:
        raise Unavailable(
            f"{what} {entry.name!r} cannot be loaded",
            expected=f"the entry point {entry.name!r} = {entry.value} to be importable",
            got=f"{type(error).__name__}: {error}",
            hint="Mend or reinstall the package that offers it",
        ) from error
