"""Access control of the HTTP API: tokens, one-time links, sessions and the audit log."""

import getpass
import secrets
import string
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta

from filmgate.core.access import (
    AuthMethod,
    Caller,
    NewSession,
    Scope,
    SessionLimits,
    format_token,
    parse_token,
    parse_user,
)
from filmgate.core.access_answers import NewTokenAnswer, SessionAnswer, SessionsAnswer
from filmgate.core.digest import sha256_hex
from filmgate.core.errors import Invalid, NotPermitted, Unauthenticated
from filmgate.db.access import AccessStore
from filmgate.wiring.database import Database
from filmgate.wiring.settings import Settings

ID_LETTERS = string.ascii_lowercase + string.digits
LINK_LIFETIME = timedelta(minutes=10)
MAX_NOTE = 200
"""Length limit of a token's note, in characters."""

MAX_TOKEN_LIFETIME = timedelta(days=3650)
SHARE_LIFETIME = timedelta(days=7)
"""Default lifetime of a share token."""

MAX_SHARE_LIFETIME = timedelta(days=90)


class AccessService:
    """Manages tokens, links, sessions and the audit log. Each call opens a database session."""

    def __init__(self, settings: Settings, database: Database | None = None) -> None:
        self._database = database or Database(settings)
        self.session_limits = SessionLimits(
            idle=settings.session_idle, lifetime=settings.session_lifetime
        )
        """Limits of sessions; they also apply to sessions that started under other limits."""

    def create_token(
        self, user: str, scope: Scope, note: str = "", lifetime: timedelta | None = None
    ) -> NewTokenAnswer:
        """Create a token for a user; only this answer contains the token's secret.

        Without `lifetime` the token does not expire. Raises Invalid for an invalid user, note or
        lifetime.
        """
        _check_lifetime(lifetime, MAX_TOKEN_LIFETIME)
        token_id = _random_id()
        caller = Caller(
            user=parse_user(user), scope=scope, auth_method=AuthMethod.TOKEN, token_id=token_id
        )
        return self._add_token(caller, note, lifetime)

    def create_share(
        self, asset_id: str, created_by: str, note: str = "", lifetime: timedelta = SHARE_LIFETIME
    ) -> NewTokenAnswer:
        """Create a token that may only read one asset; the caller checks that the asset exists.

        The token has a separate user name, `share-` and its id, so that its holder does not use up
        the limits of the user who created it. Raises Invalid for an invalid note or lifetime.
        """
        _check_lifetime(lifetime, MAX_SHARE_LIFETIME)
        token_id = _random_id()
        caller = Caller(
            user=f"share-{token_id}",
            scope=Scope.VIEWER,
            auth_method=AuthMethod.TOKEN,
            token_id=token_id,
            asset_id=asset_id,
        )
        return self._add_token(caller, note, lifetime, created_by)

    def _add_token(
        self, caller: Caller, note: str, lifetime: timedelta | None, created_by: str | None = None
    ) -> NewTokenAnswer:
        if len(note) > MAX_NOTE or not note.isprintable():
            raise Invalid("the note is invalid", expected=f"up to {MAX_NOTE} printable characters")
        secret = secrets.token_urlsafe(32)
        lifetime_s = lifetime.total_seconds() if lifetime is not None else None
        digest = sha256_hex(secret.encode())
        with self.store() as store:
            token = store.add_token(caller, digest, note, lifetime_s, created_by)
        return NewTokenAnswer(**token.model_dump(), token=format_token(token.token_id, secret))

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

    def begin_session(self, caller: Caller, address: str | None) -> tuple[str, NewSession]:
        """Start a session of a user at a client address; return its secret and the session.

        Raises NotPermitted for a share token: a session could read all assets.
        """
        if caller.asset_id is not None:
            raise NotPermitted(
                "a session cannot be started with a share token",
                expected="a token or a one-time link of a user",
                got=f"a share token of {caller.asset_id}",
            )
        secret = secrets.token_urlsafe(32)
        new = NewSession(
            secret_sha256=sha256_hex(secret.encode()),
            session_id=_random_id(),
            csrf=secrets.token_urlsafe(24),
            address=address,
        )
        with self.store() as store:
            store.add_session(new, caller, self.session_limits)
        return secret, new

    def find_session_caller(self, secret: str) -> Caller | None:
        """Return the caller of a session; None if it is unknown or has ended."""
        with self.store() as store:
            return store.session(sha256_hex(secret.encode()), self.session_limits)

    def list_sessions(self, user: str | None = None) -> SessionsAnswer:
        """List the sessions of a user that have not ended; of all users if `user` is None."""
        with self.store() as store:
            return store.sessions(user, self.session_limits)

    def revoke_session(self, session_id: str, user: str | None = None) -> SessionAnswer:
        """End a session by its id, on all servers at once.

        Raises NotFound if it does not exist, or if `user` is given and does not own it.
        """
        with self.store() as store:
            return store.revoke_session(session_id, user, self.session_limits)

    def revoke_sessions_of(self, user: str) -> SessionsAnswer:
        """End all sessions of a user, on all servers at once, and invalidate the user's links."""
        with self.store() as store:
            return store.revoke_sessions_of(parse_user(user), self.session_limits)

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


def _random_id() -> str:
    return "".join(secrets.choice(ID_LETTERS) for _ in range(12))


def _check_lifetime(lifetime: timedelta | None, longest: timedelta) -> None:
    if lifetime is not None and not timedelta() < lifetime <= longest:
        raise Invalid(
            "the lifetime of the token is invalid",
            expected=f"more than 0 and at most {longest.days} days",
            got=str(lifetime),
        )
