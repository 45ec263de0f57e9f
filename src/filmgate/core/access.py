"""Permissions over HTTP: scopes, callers and tokens."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from filmgate.core.digest import sha256_hex
from filmgate.core.errors import Invalid, NotPermitted


class Scope(StrEnum):
    """Permissions of a caller; each scope includes those before it."""

    VIEWER = "viewer"
    """Permission to query results."""
    OPERATOR = "operator"
    """Permission to upload videos, start runs, change selection policies and cancel own jobs."""
    ADMIN = "admin"
    """Permission for everything, including the runs and jobs of other users."""

    def includes(self, other: "Scope") -> bool:
        """Whether this scope permits everything that `other` permits."""
        order = list(Scope)
        return order.index(self) >= order.index(other)


class AuthMethod(StrEnum):
    """How a caller was authenticated."""

    TOKEN = "token"  # noqa: S105 - the name of a method, not a secret
    SESSION = "session"
    OPEN = "open"
    """No authentication; accepted only for requests from this machine."""


@dataclass(frozen=True, kw_only=True)
class Caller:
    """The user who sent a request, as authenticated."""

    user: str
    scope: Scope
    auth_method: AuthMethod
    token_id: str | None = None
    asset_id: str | None = None
    """The only asset that the caller may read, with a share token; None for all other callers."""
    session_id: str | None = None
    csrf: str | None = None
    """CSRF token of the session, required in every request that changes data; None without one."""
    expires_at: datetime | None = None
    """Time when the token or the session expires; None if it never expires."""

    def require(self, scope: Scope) -> None:
        """Raise NotPermitted if the caller's scope does not include `scope`."""
        if not self.scope.includes(scope):
            raise NotPermitted(
                f"user {self.user} is not permitted to send this request",
                expected=f"scope {scope.value}",
                got=f"scope {self.scope.value}",
                hint=f"Ask an admin for a token with scope {scope.value}",
            )

    def require_owner(self, owner: str, what: str) -> None:
        """Raise NotPermitted unless the caller is the owner of `what`, or an admin."""
        self.require(Scope.OPERATOR)
        if owner != self.user and self.scope is not Scope.ADMIN:
            raise NotPermitted(
                f"{what} belongs to another user",
                expected=f"{owner}, or an admin",
                got=self.user,
                hint='Ask the owner or an admin, or start a new run with "new": true',
            )

    def require_shared(self, method: str, path: str) -> None:
        """Raise NotPermitted if the caller has a share token that does not permit the request."""
        if self.asset_id is not None and not is_shared(self.asset_id, method, path):
            raise NotPermitted(
                "the share token does not permit this request",
                expected=f"a GET request for {self.asset_id}: the video and its media, artifacts, "
                "jump, find, screentime, profiles, status or export",
                got=f"{method} {path[:200]}",
                hint="Ask an admin for a token with scope viewer",
            )


@dataclass(frozen=True, kw_only=True)
class SessionLimits:
    """Times after which a session ends."""

    idle: timedelta
    """Time without use."""
    lifetime: timedelta
    """Time since the start."""


@dataclass(frozen=True, kw_only=True)
class NewSession:
    """A session that starts."""

    secret_sha256: str
    session_id: str
    csrf: str
    address: str | None
    """Client address; None if it is unknown."""


SHARED_PATHS = (
    "/v1/videos/{asset_id}",
    "/v1/videos/{asset_id}/media",
    "/v1/videos/{asset_id}/artifacts",
    "/v1/videos/{asset_id}/jump",
    "/v1/videos/{asset_id}/find",
    "/v1/videos/{asset_id}/screentime",
    "/v1/videos/{asset_id}/profiles",
    "/episodes/{ep_id}/status",
    "/episodes/{ep_id}/runs/{run_id}/export",
)
"""Paths that a share token permits for its asset, with GET only. All others are refused, so that a
new endpoint is not shared by mistake. Logs and events are not shared: they name paths and users."""

_SHARED = re.compile(
    "|".join(
        re.sub(r"{(asset_id|ep_id)}", r"([^/]+)", re.sub(r"{run_id}", r"[^/]+", path))
        for path in SHARED_PATHS
    )
)


def is_shared(asset_id: str, method: str, path: str) -> bool:
    """Whether a share token of an asset permits a request; `path` is decoded."""
    found = _SHARED.fullmatch(path)
    return method == "GET" and found is not None and asset_id in found.groups()


LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")
"""Host names and addresses of the loopback interface."""

_USER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
_TOKEN = re.compile(r"fg_([a-z0-9]{12})_([A-Za-z0-9_-]{43})\Z")


def parse_user(text: str) -> str:
    """Return `text` as a user name. Raises Invalid if it is not a valid one."""
    if not _USER.match(text):
        raise Invalid(
            "user name is invalid",
            expected="1 to 64 letters, digits, dots, underscores or hyphens",
            got=repr(text[:80]),
        )
    return text


def format_token(token_id: str, secret: str) -> str:
    """Format a token: an id of 12 letters or digits, and a secret of 32 random bytes in base64."""
    return f"fg_{token_id}_{secret}"


def parse_token(token: str) -> tuple[str, str] | None:
    """Return a token's id and the SHA-256 (hex) of its secret; None if the text is not a token.

    A plain SHA-256 is enough: a secret of 256 random bits cannot be guessed from it.
    """
    found = _TOKEN.match(token)
    return (found[1], sha256_hex(found[2].encode())) if found else None
