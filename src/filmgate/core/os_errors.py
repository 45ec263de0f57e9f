"""Translation of the operating system's errors into the error tree."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

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


PERMISSION_HINT = "Check its owner and mode, or choose another path or FILMGATE_HOME"


def permission_error(
    place: object, *, got: str, hint: str = PERMISSION_HINT, reason: str | None = None
) -> NotPermitted:
    """Make the error for a refused access; it has the same form for files, folders and buckets.

    `place`: the path or address; `got`: the message of the system or the server; `reason`: the
    error code of an item that failed, if only this item is affected.
    """
    details = {} if reason is None else {"reason": reason}
    return NotPermitted(f"permission denied: {place}", got=got, hint=hint, **details)


@contextmanager
def os_errors_translated() -> Iterator[None]:
    """Raise an OSError of the block as an error of the error tree."""
    try:
        yield
    except OSError as error:
        raise error_from_os(error) from error


def error_from_os(error: OSError, *, retry: str = "run the same command again") -> FilmgateError:
    """Translate an error of the operating system. `retry`: the last step of a hint to retry."""
    got = error.strerror or str(error)
    match error.errno:
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return permission_error(error.filename or "the system refused a call", got=got)
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
