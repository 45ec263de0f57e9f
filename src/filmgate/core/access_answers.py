"""Response models for tokens, callers and the audit log."""

from datetime import datetime

from filmgate.core.access import AuthMethod, Scope
from filmgate.core.command import Answer
from filmgate.core.digest import JsonDict


class TokenAnswer(Answer):
    """A token, without its secret."""

    token_id: str
    user: str
    scope: Scope
    note: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    """Accurate to about one minute."""
    asset_id: str | None
    """The only asset that a share token may read; None for other tokens."""
    created_by: str | None
    """The user who created a share token; None for other tokens."""


class NewTokenAnswer(TokenAnswer):
    """A new token with its secret; the secret is shown only once."""

    token: str


class TokensAnswer(Answer):
    """All tokens, newest first."""

    tokens: tuple[TokenAnswer, ...]


class SessionAnswer(Answer):
    """A session of a browser, without its secret."""

    session_id: str
    user: str
    scope: Scope
    token_id: str | None
    """The token with which it was started; None if it was started with a one-time link."""
    started_at: datetime
    last_used_at: datetime
    """Accurate to about one minute."""
    expires_at: datetime
    """Time at which it ends even if it is used."""
    idle_expires_at: datetime
    """Time at which it ends if it is not used before."""
    address: str | None
    """Client address at its start; None if it is unknown."""


class SessionsAnswer(Answer):
    """Sessions that have not ended, newest first; or the sessions that a request ended."""

    sessions: tuple[SessionAnswer, ...]


class WhoAnswer(Answer):
    """The authenticated caller."""

    user: str
    scope: Scope
    way: AuthMethod
    csrf: str | None
    """CSRF token of the session, to be sent as header `X-CSRF-Token` in every request that changes
    data; None without a session."""
    session_id: str | None = None
    """Id of the session; None without a session."""


class AuditEntry(Answer):
    """A change and the user who made it."""

    audit_id: int
    at: datetime
    user: str | None
    """None if the caller was not authenticated."""
    token_id: str | None
    action: str
    target: str
    status: int
    """HTTP status of the response."""
    request_id: str
    address: str
    details: JsonDict


class AuditAnswer(Answer):
    """A page of changes, latest first."""

    entries: tuple[AuditEntry, ...]
    next_cursor: str | None
