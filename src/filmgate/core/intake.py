"""Intake: a manifest on its way into a database, and why it is refused."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from filmgate.core.errors import FilmgateError, Unavailable
from filmgate.core.publishing import Origin
from filmgate.core.records import Record

MISSING = "missing_artifact"
"""What may come yet: stores that are copied from one to another come in any order."""

FIRST_RETRY_S = 2
LONGEST_RETRY_S = 3600
MOST_ATTEMPTS = 16
"""With the two above: about five hours, then somebody has to look."""


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """A manifest that one consumer was told of."""

    origin: Origin
    announced_sha256: str | None
    """The digest that its announcement gave; None where it was found in a listing."""
    attempt: int
    """Which try this is, from 1."""


class Refusal(Record):
    """Why a manifest was not taken in: `pipeline.run_stages.error_details`."""

    code: str
    message: str
    found: Any
    """The version that came, where that is the fault."""
    supported: tuple[Any, ...] | None
    """The versions that are known here."""
    expected: str | None
    got: str | None
    artifact_key: str | None
    """The file at fault; None where it is the manifest."""
    manifest_key: str
    json_pointer: str | None
    """RFC 6901: the place in the file at fault."""
    hint: str | None
    retryable: bool
    """Whether it may heal by itself."""

    @classmethod
    def of(cls, error: FilmgateError, manifest_key: str) -> "Refusal":
        """What an error says of a manifest."""
        told = error.extra
        code = told.get("reason", error.code)
        return cls(
            code=code,
            message=error.message,
            found=told.get("found"),
            supported=told.get("supported"),
            expected=error.expected,
            got=error.got,
            artifact_key=told.get("artifact_key"),
            manifest_key=manifest_key,
            json_pointer=told.get("json_pointer"),
            hint=error.hint,
            retryable=isinstance(error, Unavailable) or code == MISSING,
        )


def retry_after(refusal: Refusal, attempt: int) -> timedelta | None:
    """How long to wait after `attempt` tries; None where trying again is no use.

    Twice as long each time, from two seconds up to an hour.
    """
    if not refusal.retryable or attempt >= MOST_ATTEMPTS:
        return None
    return timedelta(seconds=min(FIRST_RETRY_S << (attempt - 1), LONGEST_RETRY_S))
