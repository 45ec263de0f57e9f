"""Store of tokens, login links, sessions and the audit log."""

from collections.abc import Mapping

import psycopg
from psycopg.types.json import Jsonb

from filmgate.core.access import AuthMethod, Caller, NewSession, Scope, SessionLimits
from filmgate.core.access_answers import (
    AuditAnswer,
    AuditEntry,
    SessionAnswer,
    SessionsAnswer,
    TokenAnswer,
    TokensAnswer,
)
from filmgate.core.database import Plans, Row
from filmgate.core.errors import NotFound
from filmgate.core.questions import Cursor
from filmgate.db.queries import queries
from filmgate.db.sessions import DatabaseSession

LATEST = Cursor.MAX_INT
MAX_SESSIONS = 100
"""Maximum number of sessions of a user; a further one ends the oldest."""


class AccessStore:
    """Stores access data over one connection. It stores digests of secrets, never the secrets."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._session = DatabaseSession(connection, Plans.GENERIC)
        self._sql = queries("access")

    def add_token(
        self,
        caller: Caller,
        secret_sha256: str,
        note: str,
        lasts_s: float | None,
        created_by: str | None = None,
    ) -> TokenAnswer:
        """Store a token of a user; `lasts_s` is its lifetime in seconds, None for no expiry.

        `created_by`: the user who created a share token.
        """
        row = self._session.one_required(
            self._sql["add_token"],
            {
                "token_id": caller.token_id,
                "user": caller.user,
                "scope": caller.scope.value,
                "secret_sha256": secret_sha256,
                "note": note,
                "lasts_s": lasts_s,
                "asset_id": caller.asset_id,
                "created_by": created_by,
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
            asset_id=row["asset_id"],
            expires_at=row["expires_at"],
        )

    def tokens(self) -> TokensAnswer:
        """List all tokens, including revoked and expired ones."""
        return TokensAnswer(tokens=tuple(map(_token, self._session.all(self._sql["tokens"], {}))))

    def shares(self, asset_id: str) -> TokensAnswer:
        """List all share tokens of an asset, including revoked and expired ones."""
        rows = self._session.all(self._sql["shares"], {"asset_id": asset_id})
        return TokensAnswer(tokens=tuple(map(_token, rows)))

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
        self._notify()
        return _token(row)

    def revoke_share(self, asset_id: str, token_id: str) -> TokenAnswer:
        """Revoke a share token of an asset; raises NotFound if the asset has no such token."""
        row = self._session.one(
            self._sql["revoke_share"], {"token_id": token_id, "asset_id": asset_id}
        )
        if row is None:
            raise NotFound(
                f"share token {token_id!r} of {asset_id} does not exist",
                expected="the id of a share token of this asset",
            )
        self._notify()
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

    def add_session(self, new: NewSession, caller: Caller, limits: SessionLimits) -> None:
        """Store a session; delete expired links and sessions, and the user's oldest sessions if
        there are more than `MAX_SESSIONS`."""
        self._session.execute(self._sql["delete_expired"], _seconds(limits))
        self._session.execute(
            self._sql["add_session"],
            {
                "session_sha256": new.secret_sha256,
                "session_id": new.session_id,
                "user": caller.user,
                "scope": caller.scope.value,
                "csrf": new.csrf,
                "token_id": caller.token_id,
                "address": new.address,
                **_seconds(limits),
            },
        )
        self._session.execute(
            self._sql["end_oldest_sessions"], {"user": caller.user, "kept": MAX_SESSIONS}
        )

    def session(self, session_sha256: str, limits: SessionLimits) -> Caller | None:
        """Return the user of a session and record its use, at most once a minute.

        None if it ended, reached a limit, or its token was revoked.
        """
        digest = {"session_sha256": session_sha256}
        row = self._session.one(self._sql["session"], digest | _seconds(limits))
        if row is None or not row["is_good"]:
            return None
        if row["is_touch_due"]:
            self._session.execute(self._sql["touch_session"], digest)
        return Caller(
            user=row["user_name"],
            scope=Scope(row["scope"]),
            auth_method=AuthMethod.SESSION,
            token_id=row["token_id"],
            session_id=row["session_id"],
            csrf=row["csrf"],
            expires_at=row["ends_at"],
        )

    def sessions(self, user: str | None, limits: SessionLimits) -> SessionsAnswer:
        """List the valid sessions of a user, or of all users if `user` is None."""
        rows = self._session.all(self._sql["sessions"], {"user": user} | _seconds(limits))
        return SessionsAnswer(sessions=tuple(map(_session, rows)))

    def end_session(self, session_sha256: str) -> None:
        """Delete a session."""
        self._session.execute(self._sql["end_session"], {"session_sha256": session_sha256})
        self._notify()

    def revoke_session(
        self, session_id: str, user: str | None, limits: SessionLimits
    ) -> SessionAnswer:
        """End a session by its id.

        Raises NotFound if it does not exist, or belongs to another user than `user`.
        """
        values = {"session_id": session_id, "user": user}
        row = self._session.one(self._sql["revoke_session"], values | _seconds(limits))
        if row is None:
            raise NotFound(
                f"session {session_id!r} does not exist",
                expected="the id of a session that has not ended",
                hint="List the sessions with `filmgate sessions list`",
            )
        self._notify()
        return _session(row)

    def revoke_sessions_of(self, user: str, limits: SessionLimits) -> SessionsAnswer:
        """End all sessions of a user, and delete the user's unused links; return the sessions."""
        rows = self._session.all(self._sql["revoke_sessions_of"], {"user": user} | _seconds(limits))
        self._notify()
        return SessionsAnswer(sessions=tuple(map(_session, rows)))

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

    def _notify(self) -> None:
        """Notify all servers that a token or a session has ended."""
        self._session.one(self._sql["notify"], {})


def _token(row: Row) -> TokenAnswer:
    fields = {name: row[name] for name in TokenAnswer.model_fields if name != "user"}
    return TokenAnswer(user=row["user_name"], **fields)


def _session(row: Row) -> SessionAnswer:
    return SessionAnswer(
        session_id=row["session_id"],
        user=row["user_name"],
        scope=Scope(row["scope"]),
        token_id=row["token_id"],
        started_at=row["created_at"],
        last_used_at=row["last_used_at"],
        expires_at=row["ends_at"],
        idle_expires_at=row["idle_ends_at"],
        address=row["address"],
    )


def _seconds(limits: SessionLimits) -> dict[str, float]:
    return {
        "idle_s": limits.idle.total_seconds(),
        "lifetime_s": limits.lifetime.total_seconds(),
    }
