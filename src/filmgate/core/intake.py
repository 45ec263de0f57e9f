"""Intake: a manifest on its way into a database, and why it is refused."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from filmgate.core.errors import (
    Conflict,
    FilmgateError,
    NotFound,
    NotPermitted,
    SchemaNotFoundError,
    Unavailable,
)
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
    told_attempt: int = 0
    """The last try before that came to an end."""
    claims: int = 0
    """Whose it is: rises with every claim."""

    @property
    def is_deadly(self) -> bool:
        """Whether all who tried of late died of it."""
        return self.attempt - self.told_attempt > MOST_ATTEMPTS


@dataclass(frozen=True, kw_only=True)
class Notice:
    """A manifest that a feed brings."""

    origin: Origin
    mark: str | None = None
    """What a listing says of its bytes; None where it was announced."""
    announced_sha256: str | None = None


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
        """What an error says of a manifest; short, and of characters that can be kept, whatever
        came."""
        told = error.extra
        code = told.get("reason", error.code)
        is_away = isinstance(error, AWAY) and not isinstance(error, SchemaNotFoundError)
        retryable = is_away or code == MISSING
        hint = error.hint
        if not retryable and not isinstance(error, Conflict):
            hint = f"{hint or 'Mend it'}. Then `filmgate sync --retry` looks at it again"
        return cls(
            code=code,
            message=_kept(error.message),
            found=_kept_value(told.get("found")),
            supported=told.get("supported"),
            expected=_kept(error.expected),
            got=_kept(error.got),
            artifact_key=_kept(told.get("artifact_key")),
            manifest_key=manifest_key,
            json_pointer=_kept(told.get("json_pointer")),
            hint=_kept(hint),
            retryable=retryable,
        )


AWAY = (Unavailable, NotPermitted, NotFound)
"""What a store says while it is away, not mounted, or its keys have run out."""

LONGEST_TEXT = 500


def _kept(text: Any) -> Any:
    """A text that any database and terminal can hold, and not too much of it."""
    if text is None:
        return None
    plain = str(text).encode("utf-8", "replace").decode().replace("\0", "\ufffd")
    return plain if len(plain) <= LONGEST_TEXT else f"{plain[:LONGEST_TEXT]}…"


def _kept_value(value: Any) -> Any:
    """A number, a truth or nothing as it is; of all else its text."""
    is_plain = value is None or isinstance(value, bool | float)
    is_small = isinstance(value, int) and abs(value) < 1 << 53
    if is_plain or is_small:
        return value
    return _kept(value if isinstance(value, str) else repr(value)[: LONGEST_TEXT + 1])


def retry_after(refusal: Refusal, attempt: int) -> timedelta | None:
    """How long to wait after `attempt` tries; None where trying again is no use.

    A file that does not come is given up some day, a store that is away is not.
    """
    if not refusal.retryable or (refusal.code == MISSING and attempt >= MOST_ATTEMPTS):
        return None
    return wait_after(attempt)


def wait_after(attempt: int) -> timedelta:
    """Twice as long each time, from two seconds up to an hour."""
    return timedelta(seconds=min(FIRST_RETRY_S << min(attempt - 1, 20), LONGEST_RETRY_S))
