"""Intake: deliveries of manifests to a database, refusals and retry times."""

from dataclasses import dataclass
from datetime import timedelta

from filmgate.core.errors import (
    Conflict,
    FilmgateError,
    NotFound,
    NotPermitted,
    SchemaNotFoundError,
    Unavailable,
)
from filmgate.core.gates import ReasonCode
from filmgate.core.publishing import ManifestLocation
from filmgate.core.records import Record

MISSING = ReasonCode.MISSING_ARTIFACT.value
"""Code of a refusal that is retried: the missing file may still arrive, because the files of a
store can be copied in any order."""

FIRST_RETRY_S = 2
LONGEST_RETRY_S = 3600
MOST_ATTEMPTS = 16
"""Maximum number of attempts for a manifest with a missing file: with the waits above, the last
one is after about five hours."""


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """A manifest that is delivered to one consumer."""

    origin: ManifestLocation
    announced_sha256: str | None
    """Digest in the announcement; None if the manifest was found in a listing."""
    attempt: int
    """Number of this attempt, from 1."""
    last_ended_attempt: int = 0
    """Number of the last attempt that ended with a result; in later attempts, the process died."""
    claims: int = 0
    """Number of times that the delivery was claimed; only the consumer that claimed it last may
    write its outcome."""

    @property
    def is_poison(self) -> bool:
        """Whether the process died in each of the last `MOST_ATTEMPTS` attempts before this one."""
        return self.attempt - self.last_ended_attempt > MOST_ATTEMPTS


@dataclass(frozen=True, kw_only=True)
class Notice:
    """A manifest that was found in a source."""

    origin: ManifestLocation
    mark: str | None = None
    """`ObjectEntry.mark` of the manifest in a listing; None if it was announced."""
    announced_sha256: str | None = None


class Refusal(Record):
    """Why a manifest was not ingested: `pipeline.run_stages.error_details`."""

    code: str
    message: str
    found: object
    """The unsupported version; None for other faults."""
    supported: tuple[object, ...] | None
    """The supported versions; None for other faults."""
    expected: str | None
    got: str | None
    artifact_key: str | None
    """Key of the file at fault; None if it is the manifest."""
    manifest_key: str
    json_pointer: str | None
    """Position in the file at fault (RFC 6901)."""
    hint: str | None
    retryable: bool
    """Whether a later attempt may succeed without a correction."""

    @classmethod
    def from_error(cls, error: FilmgateError, manifest_key: str) -> "Refusal":
        """Make the refusal of a manifest; a database can store its texts, which are shortened."""
        details = error.extra
        code = details.get("reason", error.code)
        is_unavailable = isinstance(error, STORE_ERRORS) and not isinstance(
            error, SchemaNotFoundError
        )
        retryable = is_unavailable or code == MISSING
        hint = error.hint
        if not retryable and not isinstance(error, Conflict):
            hint = f"{hint or 'Correct the manifest'}. Then run `filmgate sync --retry`"
        return cls(
            code=code,
            message=_storable_text(error.message),
            found=_storable_value(details.get("found")),
            supported=details.get("supported"),
            expected=_storable_text(error.expected),
            got=_storable_text(error.got),
            artifact_key=_storable_text(details.get("artifact_key")),
            manifest_key=manifest_key,
            json_pointer=_storable_text(details.get("json_pointer")),
            hint=_storable_text(hint),
            retryable=retryable,
        )


STORE_ERRORS = (Unavailable, NotPermitted, NotFound)
"""Errors of a store that is unreachable or not mounted, or whose credentials have expired."""

LONGEST_TEXT = 500
"""Longest text of a refusal, in characters."""


def _storable_text(text: object) -> str | None:
    """Shorten a text, and replace characters that a database or terminal cannot represent."""
    if text is None:
        return None
    plain = str(text).encode("utf-8", "replace").decode().replace("\0", "\ufffd")
    return plain if len(plain) <= LONGEST_TEXT else f"{plain[:LONGEST_TEXT]}…"


def _storable_value(value: object) -> object:
    """Return numbers, booleans and None as they are, and the text of any other value."""
    is_plain = value is None or isinstance(value, bool | float)
    is_small = isinstance(value, int) and abs(value) < 1 << 53
    if is_plain or is_small:
        return value
    return _storable_text(value if isinstance(value, str) else repr(value)[: LONGEST_TEXT + 1])


def retry_after(refusal: Refusal, attempt: int) -> timedelta | None:
    """Return the time to wait after `attempt` attempts; None if no attempt should follow.

    A missing file is retried up to `MOST_ATTEMPTS` times; an unavailable store, without limit.
    """
    if not refusal.retryable or (refusal.code == MISSING and attempt >= MOST_ATTEMPTS):
        return None
    return wait_after(attempt)


def wait_after(attempt: int) -> timedelta:
    """Return the wait after an attempt: two seconds, doubled each time up to an hour."""
    return timedelta(seconds=min(FIRST_RETRY_S << min(attempt - 1, 20), LONGEST_RETRY_S))
