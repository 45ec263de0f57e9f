"""Translation of exceptions into the errors that records contain."""

import errno
from collections.abc import Mapping
from typing import Any

from filmgate.core.errors import FilmgateError
from filmgate.core.records import DISK_FULL, UNEXPECTED, StageError
from filmgate.core.redaction import redact, to_json_value


def make_stage_error(error: BaseException) -> StageError:
    """Make the error in a record from an exception that a stage or an item raised.

    The result can be stored as JSON and contains no secrets.
    """
    code, message, details = _classify(error)
    return StageError(
        code=code, message=redact(to_json_value(message)), details=redact(to_json_value(details))
    )


def _classify(error: BaseException) -> tuple[str, str, Mapping[str, Any]]:
    """Code, message and details of an exception."""
    if isinstance(error, FilmgateError):
        return error.code, str(error) or error.code, error.details
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        hint = "free some space, then run the same command again"
        return DISK_FULL, f"the disk is full: {hint}", {}
    if isinstance(error, MemoryError):
        return "out_of_memory", "the memory is exhausted", {}
    try:
        message = f"{type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001 - the exception's own __str__ raises
        message = type(error).__name__
    return UNEXPECTED, message, {}
