"""What is told of tokens, of callers, and of changes."""

from datetime import datetime
from typing import Any

from filmgate.core.access import Scope, Way
from filmgate.core.answers import Answer


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
    """To about a minute."""


class NewTokenAnswer(TokenAnswer):
    """A token as it is told once, to whoever made it."""

    token: str


class TokensAnswer(Answer):
    """All tokens, the newest first."""

    tokens: tuple[TokenAnswer, ...]


class WhoAnswer(Answer):
    """Who asks, as the service knows them."""

    user: str
    scope: Scope
    way: Way
    csrf: str | None
    """Of a session: send it as `X-CSRF-Token` with every change."""


class AuditEntry(Answer):
    """A change, and who made it."""

    audit_id: int
    at: datetime
    user: str | None
    """None where nobody was known."""
    token_id: str | None
    action: str
    target: str
    status: int
    """How it ended, as HTTP calls it."""
    request_id: str
    address: str
    details: dict[str, Any]


class AuditAnswer(Answer):
    """Changes, the latest first."""

    entries: tuple[AuditEntry, ...]
    next_cursor: str | None
