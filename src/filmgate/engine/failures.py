"""A failure as records keep it: what happened, in words a person can act on."""

import errno

from filmgate.core.errors import FilmgateError
from filmgate.core.records import StageError
from filmgate.core.redaction import redact, storable


def stage_error(error: BaseException) -> StageError:
    """The record of whatever a stage or an item raised: always one that can be kept, without
    secrets."""
    told = _as_told(error)
    return StageError(
        code=told.code,
        message=redact(storable(told.message)),
        details=redact(storable(told.details)),
    )


def _as_told(error: BaseException) -> StageError:
    if isinstance(error, FilmgateError):
        return StageError(code=error.code, message=str(error) or error.code, details=error.details)
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return StageError(
            code="disk_full",
            message="the disk is full: free some space, then run the same command again",
        )
    if isinstance(error, MemoryError):
        return StageError(code="out_of_memory", message="there was not enough memory")
    try:
        said = f"{type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001 - an error that cannot even say what it is
        said = type(error).__name__
    return StageError(code="unexpected", message=said)
