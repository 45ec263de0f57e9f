"""Who may ask over HTTP: tokens, one-time links, sessions, and the log of changes."""

import getpass
import secrets
import string
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from filmgate.app.database import Database
from filmgate.app.settings import Settings
from filmgate.core.access import Caller, Scope, Way, parse_user, read_token, token_of
from filmgate.core.access_answers import AuditAnswer, NewTokenAnswer, TokenAnswer, TokensAnswer
from filmgate.core.digest import sha256_hex
from filmgate.core.errors import Invalid, Unauthenticated

if TYPE_CHECKING:
    from filmgate.db.access import Access as Stored

ID_LETTERS = string.ascii_lowercase + string.digits
LINK_LASTS = timedelta(minutes=10)
SESSION_LASTS = timedelta(days=7)
LONGEST_NOTE = 200
LONGEST_LIFE = timedelta(days=3650)


class Access:
    """Of these settings. Each call is a session of the database of its own."""

    def __init__(self, settings: Settings, database: Database | None = None) -> None:
        self._database = database or Database(settings)

    def create(
        self, user: str, scope: Scope, note: str = "", lasts: timedelta | None = None
    ) -> NewTokenAnswer:
        """A new token for a user; the only time that its secret is told."""
        if len(note) > LONGEST_NOTE or not note.isprintable():
            raise Invalid("this is no note", expected=f"up to {LONGEST_NOTE} printable characters")
        if lasts is not None and not timedelta() < lasts <= LONGEST_LIFE:
            raise Invalid("a token lasts from a moment to ten years", got=str(lasts))
        token_id = "".join(secrets.choice(ID_LETTERS) for _ in range(12))
        secret = secrets.token_urlsafe(32)
        caller = Caller(user=parse_user(user), scope=scope, way=Way.TOKEN, token_id=token_id)
        lasts_s = lasts.total_seconds() if lasts is not None else None
        with self._stored() as stored:
            kept = stored.add_token(caller, sha256_hex(secret.encode()), note, lasts_s)
        return NewTokenAnswer(**kept.model_dump(), token=token_of(token_id, secret))

    def tokens(self) -> TokensAnswer:
        """All tokens, without their secrets."""
        with self._stored() as stored:
            return stored.tokens()

    def revoke(self, token_id: str) -> TokenAnswer:
        """End a token at once, wherever it is used."""
        with self._stored() as stored:
            return stored.revoke(token_id)

    def has_admin(self) -> bool:
        """Whether somebody holds a token that may do everything."""
        with self._stored() as stored:
            return stored.has_admin()

    def holder(self, token: str) -> Caller | None:
        """Who holds a token; None where it is not good, or is none."""
        named = read_token(token)
        if named is None:
            return None
        with self._stored() as stored:
            return stored.holder(*named)

    def link(self, user: str, scope: Scope) -> str:
        """A code that lets somebody in once, within ten minutes."""
        code = secrets.token_urlsafe(32)
        with self._stored() as stored:
            stored.add_link(sha256_hex(code.encode()), user, scope, LINK_LASTS.total_seconds())
        return code

    def enter(self, code: str) -> Caller:
        """Use a link's code up; Unauthenticated where it is not good any more."""
        with self._stored() as stored:
            caller = stored.use_link(sha256_hex(code.encode()))
        if caller is None:
            raise Unauthenticated(
                "this link is not good any more",
                expected="one that was not used yet, from the last ten minutes",
                hint="`filmgate tokens link` makes another",
            )
        return caller

    def begin_session(self, caller: Caller) -> tuple[str, str]:
        """The secret of a new session, and what its changes must carry."""
        secret, csrf = secrets.token_urlsafe(32), secrets.token_urlsafe(24)
        lasts_s = SESSION_LASTS.total_seconds()
        with self._stored() as stored:
            stored.add_session(sha256_hex(secret.encode()), caller, csrf, lasts_s)
        return secret, csrf

    def session(self, secret: str) -> Caller | None:
        """Whose session it is; None where it is over, or never was."""
        with self._stored() as stored:
            return stored.session(sha256_hex(secret.encode()))

    def end_session(self, secret: str) -> None:
        """Leave."""
        with self._stored() as stored:
            stored.end_session(sha256_hex(secret.encode()))

    def note(self, told: Mapping[str, Any]) -> None:
        """Write a change down."""
        with self._stored() as stored:
            stored.note(told)

    def note_here(self, action: str, target: str, **details: str) -> None:
        """Write down a change that was made on the command line."""
        self.note(
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

    def audited(self, limit: int, cursor: str | None) -> AuditAnswer:
        """What was written down, the latest first."""
        with self._stored() as stored:
            return stored.audited(limit, cursor)

    @contextmanager
    def _stored(self) -> "Iterator[Stored]":
        from filmgate.db.access import Access as Stored  # slow, and not always needed

        with self._database.session() as connection:
            yield Stored(connection)
