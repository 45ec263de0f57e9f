"""Translation of the operating system's errors into the error tree."""

import errno

from filmgate.core.errors import (
    DiskFull,
    Exhausted,
    FilmgateError,
    Invalid,
    NotPermitted,
    Unavailable,
)

WRONG_PATH = frozenset(
    {
        errno.EEXIST,
        errno.EINVAL,
        errno.EISDIR,
        errno.ELOOP,
        errno.ENAMETOOLONG,
        errno.ENOENT,
        errno.ENOTDIR,
        errno.ENOTEMPTY,
    }
)
"""Codes of errors that another path avoids, and a retry does not."""


def error_from_os(error: OSError, *, retry: str = "run the same command again") -> FilmgateError:
    """Translate an error of the operating system. `retry`: the last step of a hint to retry."""
    got = error.strerror or str(error)
    match error.errno:
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return NotPermitted(
                f"permission denied: {error.filename or 'the system refused a call'}",
                got=got,
                hint="Check its owner and mode, or choose another path or FILMGATE_HOME",
            )
        case errno.ENOSPC | errno.EDQUOT:
            return DiskFull(
                "the disk is full",
                expected=f"space to write {error.filename or 'the files of the run'}",
                got=got,
                hint=f"Free disk space, then {retry}",
            )
        case errno.EMFILE | errno.ENFILE:
            return Exhausted(
                "too many files are open",
                got=got,
                hint=f"Close files, or raise the limit with `ulimit -n`, then {retry}",
            )
        case code if code in WRONG_PATH:
            return Invalid(
                f"{error.filename or 'a path'} cannot be used",
                got=got,
                hint="Check the path and FILMGATE_HOME",
            )
    return Unavailable(
        f"{error.filename or 'the system'} cannot be used",
        got=got,
        hint=f"Check the disk and the network, then {retry}",
    )
