"""Permissions of the files and folders that Filmgate creates."""

import os
import shlex
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

from filmgate.wiring.notices import warn

FileAccess = Literal["private", "group", "umask"]

UMASKS: dict[FileAccess, int] = {"private": 0o077, "group": 0o027}
"""Permissions that new files do not get. `umask` leaves the umask of the process unchanged."""

CLOSING_MODES: dict[FileAccess, str] = {"private": "go-rwx", "group": "g-w,o-rwx"}
"""Argument of `chmod` that removes the permissions of `UMASKS`."""

WARNED = ".warned-of-permissions"
"""File in the home with the mode of the home at the last warning, so that each mode is reported
once."""


def restrict_new_files(access: FileAccess) -> None:
    """Set the permissions of all files that this process, and those that it starts, will create.

    It sets the umask, so that no file is open for a moment and none costs another system call.
    """
    if access in UMASKS:
        os.umask(UMASKS[access])


@contextmanager
def restricted_files(access: FileAccess) -> Iterator[None]:
    """Restrict new files for a block in the process of another program. The umask belongs to the
    process: files that other threads create during the block are restricted, too."""
    earlier = os.umask(0o077)
    os.umask(UMASKS.get(access, earlier))
    try:
        yield
    finally:
        os.umask(earlier)


def warn_of_open_home(home: Path, access: FileAccess) -> None:
    """Warn once if other users may enter an existing home; its permissions are not changed."""
    if access not in UMASKS:
        return
    try:
        found = home.stat()
    except OSError:
        return
    mode = stat.S_IMODE(found.st_mode)
    if not mode & UMASKS[access] or found.st_uid != os.geteuid():
        return
    warned = home / WARNED
    with suppress(OSError):
        if warned.read_text() == f"{mode:o}":
            return
    with suppress(OSError):
        warned.write_text(f"{mode:o}")
    warn(
        f"the home is open to other users: {home} has mode {mode:04o}. To close it, run: "
        f"chmod -R {CLOSING_MODES[access]} {shlex.quote(str(home))} (FILMGATE_FILE_ACCESS=group "
        "or umask permits more)"
    )
