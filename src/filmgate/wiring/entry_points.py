"""Entry points of installed packages."""

import sys
from contextlib import redirect_stdout
from typing import TYPE_CHECKING

from filmgate.core.errors import Unavailable

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint


def list_entry_points(group: str) -> "list[EntryPoint]":
    """Return the entry points of a group, sorted by name, without loading any.

    Raises Unavailable if the metadata of a package cannot be read.
    """
    from importlib import metadata  # slow; not for --help

    try:
        found = list(metadata.entry_points(group=group))
    except Exception as error:
        raise Unavailable(
            "the entry points of the installed packages cannot be read",
            got=f"{type(error).__name__}: {error}",
            hint="Repair or remove the package whose entry_points.txt is broken",
        ) from error
    return sorted(found, key=lambda entry: (entry.name, entry.value))


def load_entry_point(entry: "EntryPoint", what: str) -> object:
    """Return the object of an entry point; raises Unavailable if it cannot be imported.

    `what`: the kind of object, for the error message.
    """
    try:
        with redirect_stdout(sys.stderr):  # standard output is for results
            return entry.load()
    except (Exception, SystemExit) as error:
        raise Unavailable(
            f"{what} {entry.name!r} cannot be loaded",
            expected=f"the entry point {entry.name!r} = {entry.value} to be importable",
            got=f"{type(error).__name__}: {error}",
            hint="Repair or reinstall the package of the entry point",
        ) from error
