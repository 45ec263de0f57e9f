"""Store of tokens, login links, sessions and the audit log."""

from collections.abc import Mapping

import psycopg
from psycopg.types.json import Jsonb

from filmgate.core.access import AuthMethod, Caller, Scope
from filmgate.core.access_answers import AuditAnswer, AuditEntry, TokenAnswer, TokensAnswer
from filmgate.core.database import Plans, Row
from filmgate.core.errors import NotFound
from filmgate.core.questions import Cursor
from filmgate.db.queries import queries
from filmgate.db.sessions import DatabaseSession

LATEST = Cursor.MAX_INT


class AccessStore:
    """Stores access data over one connection. It stores digests of secrets, never the secrets."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._session = DatabaseSession(connection, Plans.GENERIC)
        self._sql = queries("access")

    def add_token(
        self, caller: Caller, secret_sha256: str, note: str, lasts_s: float | None
    ) -> TokenAnswer:
        """Store a token of a user; `lasts_s` is its lifetime in seconds, None for no expiry."""
        row = self._session.one_required(
            self._sql["add_token"],
            {
                "token_id": caller.token_id,
                "user": caller.user,
                "scope": caller.scope.value,
                "secret_sha256": secret_sha256,
                "note": note,
                "lasts_s": lasts_s,
            },
        )
        return _token(row)

    def token_holder(self, token_id: str, secret_sha256: str) -> Caller | None:
        """Return the holder of a token that is valid now; None if it is not."""
        row = self._session.one(self._sql["token"], {"token_id": token_id})
        if row is None or not row["is_good"] or row["secret_sha256"] != secret_sha256:
            return None
        self._session.execute(self._sql["touch_token"], {"token_id": token_id})
        return Caller(
            user=row["user_name"],
            scope=Scope(row["scope"]),
            auth_method=AuthMethod.TOKEN,
            token_id=token_id,
            expires_at=row["expires_at"],
        )

    def tokens(self) -> TokensAnswer:
        """List all tokens, including revoked and expired ones."""
        return TokensAnswer(tokens=tuple(map(_token, self._session.all(self._sql["tokens"], {}))))

    def has_admin(self) -> bool:
        """Whether a valid token with the scope `admin` exists."""
        return bool(self._session.one_required(self._sql["has_admin"], {})["found"])

    def revoke(self, token_id: str) -> TokenAnswer:
        """Revoke a token and all sessions that were started with it.

        Raises NotFound if the token does not exist.
        """
        row = self._session.one(self._sql["revoke"], {"token_id": token_id})
        if row is None:
            raise NotFound(
                f"token {token_id!r} does not exist",
                expected="the id of a token",
                hint="List the tokens with `filmgate tokens list`",
            )
        self._session.one(self._sql["notify"], {})
        return _token(row)

    def add_link(self, code_sha256: str, user: str, scope: Scope, lasts_s: float) -> None:
        """Store a login link that can be used once within `lasts_s` seconds."""
        self._session.execute(
            self._sql["add_link"],
            {"code_sha256": code_sha256, "user": user, "scope": scope.value, "lasts_s": lasts_s},
        )

    def use_link(self, code_sha256: str) -> Caller | None:
        """Use up a login link and return its user; None if no valid link has this code."""
        row = self._session.one(self._sql["use_link"], {"code_sha256": code_sha256})
        if row is None or not row["is_good"]:
            return None
        return Caller(
            user=row["user_name"], scope=Scope(row["scope"]), auth_method=AuthMethod.SESSION
        )

    def add_session(self, session_sha256: str, caller: Caller, csrf: str, lasts_s: float) -> None:
        """Store a session that lasts `lasts_s` seconds; delete expired links and sessions."""
        self._session.execute(self._sql["delete_expired"], {})
        self._session.execute(
            self._sql["add_session"],
            {
                "session_sha256": session_sha256,
                "user": caller.user,
                "scope": caller.scope.value,
                "csrf": csrf,
                "token_id": caller.token_id,
                "lasts_s": lasts_s,
            },
        )

    def session(self, session_sha256: str) -> Caller | None:
        """Return the user of a session; None if it expired or its token was revoked."""
        row = self._session.one(self._sql["session"], {"session_sha256": session_sha256})
        if row is None or not row["is_good"]:
            return None
        return Caller(
            user=row["user_name"],
            scope=Scope(row["scope"]),
            auth_method=AuthMethod.SESSION,
            token_id=row["token_id"],
            csrf=row["csrf"],
            expires_at=row["expires_at"],
        )

    def end_session(self, session_sha256: str) -> None:
        """Delete a session."""
        self._session.execute(self._sql["end_session"], {"session_sha256": session_sha256})
        self._session.one(self._sql["notify"], {})

    def add_audit_entry(self, entry: Mapping[str, object]) -> None:
        """Add a change to the audit log."""
        row = {**entry, "details": Jsonb(entry["details"])}
        self._session.execute(self._sql["add_audit_entry"], row)

    def audit_entries(self, limit: int, cursor: str | None) -> AuditAnswer:
        """List a page of the audit log, the latest entry first."""
        (before,) = Cursor.decode(cursor, ["audit"], (int,)) if cursor else (LATEST,)
        rows = self._session.all(self._sql["audit_entries"], {"before": before, "limit": limit + 1})
        following = Cursor.after_page(rows, limit, ["audit"], lambda row: [row["audit_id"]])
        entries = [AuditEntry(user=row.pop("user_name"), **row) for row in rows[:limit]]
        return AuditAnswer(entries=tuple(entries), next_cursor=following)


def _token(row: Row) -> TokenAnswer:
    fields = {name: row[name] for name in TokenAnswer.model_fields if name != "user"}
    return TokenAnswer(user=row["user_name"], **fields)
