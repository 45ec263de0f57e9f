"""Access control of the HTTP API: tokens, one-time links, sessions and the audit log."""

import getpass
import secrets
import string
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta

from filmgate.core.access import AuthMethod, Caller, Scope, format_token, parse_token, parse_user
from filmgate.core.access_answers import NewTokenAnswer
from filmgate.core.digest import sha256_hex
from filmgate.core.errors import Invalid, Unauthenticated
from filmgate.db.access import AccessStore
from filmgate.wiring.database import Database
from filmgate.wiring.settings import Settings

ID_LETTERS = string.ascii_lowercase + string.digits
LINK_LIFETIME = timedelta(minutes=10)
SESSION_LIFETIME = timedelta(days=7)
MAX_NOTE = 200
"""Length limit of a token's note, in characters."""

MAX_TOKEN_LIFETIME = timedelta(days=3650)


class AccessService:
    """Manages tokens, links, sessions and the audit log. Each call opens a database session."""

    def __init__(self, settings: Settings, database: Database | None = None) -> None:
        self._database = database or Database(settings)

    def create_token(
        self, user: str, scope: Scope, note: str = "", lifetime: timedelta | None = None
    ) -> NewTokenAnswer:
        """Create a token for a user; only this answer contains the token's secret.

        Without `lifetime` the token does not expire. Raises Invalid for an invalid user, note or
        lifetime.
        """
        if len(note) > MAX_NOTE or not note.isprintable():
            raise Invalid("the note is invalid", expected=f"up to {MAX_NOTE} printable characters")
        if lifetime is not None and not timedelta() < lifetime <= MAX_TOKEN_LIFETIME:
            raise Invalid(
                "the lifetime of the token is invalid",
                expected="more than 0 and at most ten years",
                got=str(lifetime),
            )
        token_id = "".join(secrets.choice(ID_LETTERS) for _ in range(12))
        secret = secrets.token_urlsafe(32)
        caller = Caller(
            user=parse_user(user), scope=scope, auth_method=AuthMethod.TOKEN, token_id=token_id
        )
        lifetime_s = lifetime.total_seconds() if lifetime is not None else None
        with self.store() as store:
            token = store.add_token(caller, sha256_hex(secret.encode()), note, lifetime_s)
        return NewTokenAnswer(**token.model_dump(), token=format_token(token_id, secret))

    def find_token_holder(self, token: str) -> Caller | None:
        """Return the caller of a token; None if it is malformed, unknown, revoked or expired."""
        id_and_digest = parse_token(token)
        if id_and_digest is None:
            return None
        with self.store() as store:
            return store.token_holder(*id_and_digest)

    def create_link(self, user: str, scope: Scope) -> str:
        """Create a one-time link that is valid for ten minutes; return its code."""
        code = secrets.token_urlsafe(32)
        with self.store() as store:
            store.add_link(sha256_hex(code.encode()), user, scope, LINK_LIFETIME.total_seconds())
        return code

    def redeem_link(self, code: str) -> Caller:
        """Use up the code of a link; raises Unauthenticated if the link is no longer valid."""
        with self.store() as store:
            caller = store.use_link(sha256_hex(code.encode()))
        if caller is None:
            raise Unauthenticated(
                "the link is invalid or has expired",
                expected="an unused link from the last ten minutes",
                hint="Create another with `filmgate tokens link`",
            )
        return caller

    def begin_session(self, caller: Caller) -> tuple[str, str]:
        """Start a session; return its secret and the CSRF token that changes must send."""
        secret, csrf = secrets.token_urlsafe(32), secrets.token_urlsafe(24)
        lifetime_s = SESSION_LIFETIME.total_seconds()
        with self.store() as store:
            store.add_session(sha256_hex(secret.encode()), caller, csrf, lifetime_s)
        return secret, csrf

    def find_session_caller(self, secret: str) -> Caller | None:
        """Return the caller of a session; None if it is unknown or has ended."""
        with self.store() as store:
            return store.session(sha256_hex(secret.encode()))

    def end_session(self, secret: str) -> None:
        """End a session."""
        with self.store() as store:
            store.end_session(sha256_hex(secret.encode()))

    def record_change(self, entry: Mapping[str, object]) -> None:
        """Add an entry to the audit log."""
        with self.store() as store:
            store.add_audit_entry(entry)

    def record_local_change(self, action: str, target: str, **details: str) -> None:
        """Add a change that was made on the command line to the audit log."""
        self.record_change(
            {
                "user": getpass.getuser(),
                "token_id": None,
                "action": action,
                "target": target,
                "status": 200,
                "request_id": "",
                "address": "the command line",
                "details": details,
            }
        )

    @contextmanager
    def store(self) -> Iterator[AccessStore]:
        """Open a database session with the stored tokens, sessions and audit log."""
        with self._database.session() as connection:
            yield AccessStore(connection)
