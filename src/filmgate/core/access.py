"""Who may do what over HTTP: scopes, callers, tokens."""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from filmgate.core.digest import sha256_hex
from filmgate.core.errors import Invalid, NotPermitted


class Scope(StrEnum):
    """What somebody may do; each may do all that those before it may."""

    VIEWER = "viewer"
    """Ask."""
    OPERATOR = "operator"
    """Upload, run, choose what is served, and cancel one's own jobs."""
    ADMIN = "admin"
    """Everything, also with what is others'."""

    def includes(self, other: "Scope") -> bool:
        """Whether it may do what `other` may."""
        order = list(Scope)
        return order.index(self) >= order.index(other)


class Way(StrEnum):
    """How somebody was known."""

    TOKEN = "token"  # noqa: S105 - a word, not a secret
    SESSION = "session"
    OPEN = "open"
    """Nobody is asked; only on this machine."""


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Whoever asks."""

    user: str
    scope: Scope
    way: Way
    token_id: str | None = None
    csrf: str | None = None
    """Of a session: what every change must carry."""
    good_until: datetime | None = None
    """When the token or the session ends; None: never."""

    def need(self, scope: Scope) -> None:
        """Raise NotPermitted where the caller may not do what takes this scope."""
        if not self.scope.includes(scope):
            raise NotPermitted(
                f"{self.user} may not do this",
                expected=f"scope {scope.value}",
                got=f"scope {self.scope.value}",
                hint="Ask an admin for a token with that scope",
            )

    def own(self, owner: str, what: str) -> None:
        """Raise NotPermitted where `what` is somebody else's and the caller is no admin."""
        self.need(Scope.OPERATOR)
        if owner != self.user and self.scope is not Scope.ADMIN:
            raise NotPermitted(
                f"{what} is somebody else's",
                expected=f"{owner}, or an admin",
                got=self.user,
                hint="Ask them, or an admin; a run of your own begins with new",
            )


LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")
"""Of this machine alone."""

USER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
_TOKEN = re.compile(r"fg_([a-z0-9]{12})_([A-Za-z0-9_-]{43})\Z")


def parse_user(text: str) -> str:
    """Take the name of a user, or raise Invalid saying what one may look like."""
    if not USER.match(text):
        raise Invalid(
            "this is no name of a user",
            expected="1 to 64 letters, digits, dots, underscores or hyphens",
            got=repr(text[:80]),
        )
    return text


def token_of(token_id: str, secret: str) -> str:
    """A token as its holder keeps it: 12 letters or digits, and 32 random bytes in base 64."""
    return f"fg_{token_id}_{secret}"


def read_token(token: str) -> tuple[str, str] | None:
    """Its id, and the digest by which its secret is known; None where the text is no token.

    A plain sha256 is enough: a secret of 256 random bits cannot be guessed from it.
    """
    found = _TOKEN.match(token)
    return (found[1], sha256_hex(found[2].encode())) if found else None
