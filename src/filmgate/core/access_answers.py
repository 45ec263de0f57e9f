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


class NewTokenAnswer(TokenAnswer):
    """A new token with its secret; the secret is shown only once."""

    token: str


class TokensAnswer(Answer):
    """All tokens, newest first."""

    tokens: tuple[TokenAnswer, ...]


class WhoAnswer(Answer):
    """The authenticated caller."""

    user: str
    scope: Scope
    way: AuthMethod
    csrf: str | None
    """CSRF token of the session, to be sent as header `X-CSRF-Token` in every request that changes
    data; None without a session."""


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
