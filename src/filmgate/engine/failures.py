"""Translation of exceptions into the errors that records contain."""

from collections.abc import Mapping

from filmgate.core.errors import DiskFull, FilmgateError, NotPermitted
from filmgate.core.os_errors import error_from_os
from filmgate.core.records import FailureCode, StageError
from filmgate.core.redaction import redact, to_json_value


def make_stage_error(error: BaseException) -> StageError:
    """Make the error in a record from an exception that a stage or an item raised.

    The result can be stored as JSON and contains no secrets.
    """
    code, message, details = _classify(error)
    return StageError(
        code=code, message=redact(to_json_value(message)), details=redact(to_json_value(details))
    )


def _classify(error: BaseException) -> tuple[str, str, Mapping[str, object]]:
    """Code, message and details of an exception."""
    if isinstance(error, FilmgateError):
        return error.code, str(error) or error.code, error.details
    translated = error_from_os(error) if isinstance(error, OSError) else None
    if isinstance(translated, DiskFull):
        return FailureCode.DISK_FULL, str(translated), translated.details
    if isinstance(translated, NotPermitted):
        return translated.code, str(translated), translated.details
    if isinstance(error, MemoryError):
        return FailureCode.OUT_OF_MEMORY, "the memory is exhausted", {}
    try:
        message = f"{type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001 - the exception's own __str__ raises
        message = type(error).__name__
    return FailureCode.UNEXPECTED, message, {}
