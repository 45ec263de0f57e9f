"""Who may ask over HTTP, in the database: tokens, links, sessions, and the audit log."""

from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from filmgate.core.access import Caller, Scope, Way
from filmgate.core.access_answers import AuditAnswer, AuditEntry, TokenAnswer, TokensAnswer
from filmgate.core.errors import NotFound
from filmgate.core.questions import Cursor
from filmgate.db.queries import queries
from filmgate.db.sessions import Session

LATEST = Cursor.GREATEST


class Access:
    """Over one connection. Secrets never come here, only their digests."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._session = Session(connection)
        self._sql = queries("access")

    def add_token(
        self, caller: Caller, secret_sha256: str, note: str, lasts_s: float | None
    ) -> TokenAnswer:
        """Keep a token for its user, under its id; for ever without a time."""
        row = self._session.need(
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

    def holder(self, token_id: str, secret_sha256: str) -> Caller | None:
        """Who holds a token that is good now; None where it is not."""
        row = self._session.one(self._sql["token"], {"token_id": token_id})
        if row is None or not row["is_good"] or row["secret_sha256"] != secret_sha256:
            return None
        self._session.do(self._sql["used"], {"token_id": token_id})
        return Caller(
            user=row["user_name"],
            scope=Scope(row["scope"]),
            way=Way.TOKEN,
            token_id=token_id,
            good_until=row["expires_at"],
        )

    def tokens(self) -> TokensAnswer:
        """All that were ever made."""
        return TokensAnswer(tokens=tuple(map(_token, self._session.all(self._sql["tokens"], {}))))

    def has_admin(self) -> bool:
        """Whether somebody holds a token that may do everything."""
        return bool(self._session.need(self._sql["has_admin"], {})["found"])

    def revoke(self, token_id: str) -> TokenAnswer:
        """End a token, and all sessions that it began; NotFound where there is none."""
        row = self._session.one(self._sql["revoke"], {"token_id": token_id})
        if row is None:
            raise NotFound(
                f"no token {token_id!r}",
                expected="the id of a token",
                hint="`filmgate tokens list` shows them",
            )
        self._session.one(self._sql["tell"], {})
        return _token(row)

    def add_link(self, code_sha256: str, user: str, scope: Scope, lasts_s: float) -> None:
        """Keep a link that is good for one entry."""
        self._session.do(
            self._sql["add_link"],
            {"code_sha256": code_sha256, "user": user, "scope": scope.value, "lasts_s": lasts_s},
        )

    def use_link(self, code_sha256: str) -> Caller | None:
        """Who a link lets in; it is used up by that. None where there is none that is good."""
        row = self._session.one(self._sql["use_link"], {"code_sha256": code_sha256})
        if row is None or not row["is_good"]:
            return None
        return Caller(user=row["user_name"], scope=Scope(row["scope"]), way=Way.SESSION)

    def add_session(self, session_sha256: str, caller: Caller, csrf: str, lasts_s: float) -> None:
        """Keep a session; those that are over are forgotten."""
        self._session.do(self._sql["sweep"], {})
        self._session.do(
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
        """Whose session it is; None where it is over."""
        row = self._session.one(self._sql["session"], {"session_sha256": session_sha256})
        if row is None or not row["is_good"]:
            return None
        return Caller(
            user=row["user_name"],
            scope=Scope(row["scope"]),
            way=Way.SESSION,
            token_id=row["token_id"],
            csrf=row["csrf"],
            good_until=row["expires_at"],
        )

    def end_session(self, session_sha256: str) -> None:
        """Forget a session."""
        self._session.do(self._sql["end_session"], {"session_sha256": session_sha256})
        self._session.one(self._sql["tell"], {})

    def note(self, told: Mapping[str, Any]) -> None:
        """Write down a change."""
        self._session.do(self._sql["audit"], {**told, "details": Jsonb(told["details"])})

    def audited(self, limit: int, cursor: str | None) -> AuditAnswer:
        """What was written down, the latest first."""
        (before,) = Cursor.read(cursor, ["audit"], (int,)) if cursor else (LATEST,)
        rows = self._session.all(self._sql["audited"], {"before": before, "limit": limit + 1})
        following = Cursor.after(rows, limit, ["audit"], lambda row: [row["audit_id"]])
        entries = [AuditEntry(user=row.pop("user_name"), **row) for row in rows[:limit]]
        return AuditAnswer(entries=tuple(entries), next_cursor=following)


def _token(row: Mapping[str, Any]) -> TokenAnswer:
    told = {name: row[name] for name in TokenAnswer.model_fields if name != "user"}
    return TokenAnswer(user=row["user_name"], **told)
