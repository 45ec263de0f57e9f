"""A failure as records keep it: what happened, in words a person can act on."""

import errno
from collections.abc import Mapping
from typing import Any

from filmgate.core.errors import FilmgateError
from filmgate.core.records import UNEXPECTED, StageError
from filmgate.core.redaction import redact, storable


def stage_error(error: BaseException) -> StageError:
    """The record of whatever a stage or an item raised: always one that can be kept, without
    secrets."""
    code, message, details = _told(error)
    return StageError(
        code=code, message=redact(storable(message)), details=redact(storable(details))
    )


def _told(error: BaseException) -> tuple[str, str, Mapping[str, Any]]:
    """Code, message and details."""
    if isinstance(error, FilmgateError):
        return error.code, str(error) or error.code, error.details
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        hint = "free some space, then run the same command again"
        return "disk_full", f"the disk is full: {hint}", {}
    if isinstance(error, MemoryError):
        return "out_of_memory", "there was not enough memory", {}
    try:
        said = f"{type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001 - an error that cannot even say what it is
        said = type(error).__name__
    return UNEXPECTED, said, {}
