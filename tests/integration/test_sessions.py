"""Sessions: they are listed, ended on every server at once, and end at their limits."""

import asyncio
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from filmgate.api.application import create_app
from filmgate.api.authentication import CACHE_S
from filmgate.api.service import AuthMode, Service
from filmgate.core.access import AuthMethod, Caller, Scope
from filmgate.core.errors import NotFound, Unauthenticated
from filmgate.db.access import MAX_SESSIONS
from filmgate.services.access import AccessService
from filmgate.wiring.settings import Settings
from support.command import Filmgate

pytestmark = pytest.mark.filterwarnings("ignore:The 'alias' attribute with value 'body'")
"""FastAPI causes this warning of Pydantic when it describes a model that is built later."""

ADDRESS = "198.51.100.7"
LISA = Caller(user="lisa", scope=Scope.VIEWER, auth_method=AuthMethod.TOKEN)
ADA = Caller(user="ada", scope=Scope.ADMIN, auth_method=AuthMethod.TOKEN)


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    return Settings(home=tmp_path / "home", database_url=database_url)


@pytest.fixture
def access(settings: Settings) -> AccessService:
    return AccessService(settings)


@pytest.fixture
def service(settings: Settings) -> Iterator[Service]:
    opened = Service(settings, AuthMode.REQUIRED, ())
    with opened.database.pooled(4):
        yield opened


class Browser:
    """A browser with the session of a user."""

    def __init__(self, service: Service, caller: Caller, address: str = ADDRESS) -> None:
        self.secret, self.session = service.access.begin_session(caller, address)
        self.session_id = self.session.session_id
        self.app = create_app(service)

    async def send(self, method: str, path: str) -> httpx.Response:
        headers = {
            "cookie": f"filmgate_session={self.secret}",
            "x-csrf-token": self.session.csrf,
        }
        transport = httpx.ASGITransport(self.app, client=(ADDRESS, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
            return await http.request(method, path, headers=headers)


def send(browser: Browser, method: str, path: str) -> httpx.Response:
    return asyncio.run(browser.send(method, path))


def ids(response: httpx.Response) -> set[str]:
    assert response.status_code == 200, response.text
    return {session["session_id"] for session in response.json()["sessions"]}


def change_times(database_url: str, session_id: str, **ages: timedelta) -> None:
    """Set the start or the last use of a session to times before now."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        for column, age in ages.items():
            connection.execute(
                f"update filmgate.access_sessions set {column} = now() - %s where session_id = %s",
                [age, session_id],
            )


def last_use(access: AccessService, session_id: str) -> Any:
    return next(
        each.last_used_at
        for each in access.list_sessions().sessions
        if each.session_id == session_id
    )


def test_a_session_is_listed_with_its_user_times_and_address(service: Service) -> None:
    lisa = Browser(service, LISA)
    (listed,) = send(lisa, "GET", "/v1/sessions").json()["sessions"]
    assert {name: listed[name] for name in ("session_id", "user", "scope", "address")} == {
        "session_id": lisa.session_id,
        "user": "lisa",
        "scope": "viewer",
        "address": ADDRESS,
    }
    (session,) = service.access.list_sessions().sessions
    assert session.expires_at - session.started_at == timedelta(days=7)
    assert session.idle_expires_at - session.last_used_at == timedelta(hours=12)
    assert lisa.secret not in str(listed)
    assert send(lisa, "GET", "/v1/session").json()["session_id"] == lisa.session_id


def test_a_user_lists_own_sessions_and_an_admin_all(service: Service) -> None:
    lisa, other, ada = (Browser(service, caller) for caller in (LISA, LISA, ADA))
    own = {lisa.session_id, other.session_id}
    assert ids(send(lisa, "GET", "/v1/sessions")) == own
    assert ids(send(ada, "GET", "/v1/sessions")) == own | {ada.session_id}


def test_a_user_ends_own_sessions_only(service: Service) -> None:
    lisa, other, ada = (Browser(service, caller) for caller in (LISA, LISA, ADA))
    assert send(lisa, "DELETE", f"/v1/sessions/{ada.session_id}").status_code == 404
    assert send(lisa, "DELETE", "/v1/sessions?user=ada").status_code == 403
    assert send(lisa, "DELETE", "/v1/sessions").status_code == 400
    assert send(ada, "GET", "/v1/session").status_code == 200
    ended = send(lisa, "DELETE", f"/v1/sessions/{other.session_id}")
    assert (ended.status_code, ended.json()["user"]) == (200, "lisa")
    assert send(other, "GET", "/v1/session").status_code == 401
    assert ids(send(lisa, "DELETE", "/v1/sessions?user=lisa")) == {lisa.session_id}
    assert send(lisa, "GET", "/v1/session").status_code == 401


def test_an_admin_ends_the_sessions_of_another_user(service: Service) -> None:
    lisa, other, ada = (Browser(service, caller) for caller in (LISA, LISA, ADA))
    assert send(ada, "DELETE", f"/v1/sessions/{lisa.session_id}").status_code == 200
    assert send(lisa, "GET", "/v1/session").status_code == 401
    assert ids(send(ada, "DELETE", "/v1/sessions?user=lisa")) == {other.session_id}
    assert send(other, "GET", "/v1/session").status_code == 401
    assert send(ada, "DELETE", f"/v1/sessions/{lisa.session_id}").status_code == 404
    with service.access.store() as stored:
        logged = stored.audit_entries(10, None).entries
    found = [(entry.user, entry.action, entry.status, entry.details) for entry in logged]
    assert {entry.address for entry in logged} == {ADDRESS}
    assert found[::-1] == [
        (
            "ada",
            "DELETE /v1/sessions/{session_id}",
            200,
            {"session": lisa.session_id, "user": "lisa"},
        ),
        (
            "ada",
            "DELETE /v1/sessions",
            200,
            {"user": "lisa", "sessions": [other.session_id]},
        ),
        ("ada", "DELETE /v1/sessions/{session_id}", 404, {}),
    ]


def test_the_links_of_a_user_become_invalid_with_the_sessions(access: AccessService) -> None:
    lisa, ada = access.create_link("lisa", Scope.VIEWER), access.create_link("ada", Scope.ADMIN)
    access.revoke_sessions_of("lisa")
    assert access.redeem_link(ada).user == "ada"
    with pytest.raises(Unauthenticated, match="the link is invalid or has expired"):
        access.redeem_link(lisa)


def test_a_session_ended_on_one_server_is_refused_on_another_at_once(settings: Settings) -> None:
    """The second server has cached the session for 15 seconds when a notification arrives."""
    first, second = (Service(settings, AuthMode.REQUIRED, ()) for _ in range(2))
    with first.database.pooled(2), second.database.pooled(2):
        lisa = Browser(second, LISA)

        async def end() -> float:
            async with lisa.app.router.lifespan_context(lisa.app):
                await asyncio.to_thread(_wait_for_listener, settings)
                assert (await lisa.send("GET", "/v1/session")).status_code == 200
                started = asyncio.get_running_loop().time()
                await asyncio.to_thread(first.access.revoke_session, lisa.session_id)
                while (await lisa.send("GET", "/v1/session")).status_code != 401:
                    await asyncio.sleep(0.02)
                return asyncio.get_running_loop().time() - started

        assert asyncio.run(asyncio.wait_for(end(), 30)) < CACHE_S / 3


def _wait_for_listener(settings: Settings) -> None:
    """Wait until a server listens for notifications of the database."""
    with psycopg.connect(str(settings.database_url), autocommit=True) as connection:
        for _ in range(100):
            row = connection.execute(
                "select count(*) from pg_stat_activity"
                " where datname = current_database() and query like 'listen %'"
            ).fetchone()
            if row != (0,):
                return
            time.sleep(0.05)
    raise AssertionError("no server listens")


def test_a_session_ends_after_the_idle_limit_and_after_its_lifetime(
    service: Service, database_url: str
) -> None:
    idle, old, used = (Browser(service, LISA) for _ in range(3))
    hour, day = timedelta(hours=1), timedelta(days=1)
    change_times(database_url, idle.session_id, last_used_at=13 * hour)
    change_times(database_url, old.session_id, created_at=8 * day)
    change_times(database_url, used.session_id, last_used_at=11 * hour, created_at=6 * day)
    assert send(idle, "GET", "/v1/session").status_code == 401
    assert send(old, "GET", "/v1/session").status_code == 401
    assert ids(send(used, "GET", "/v1/sessions")) == {used.session_id}
    Browser(service, ADA)
    with psycopg.connect(database_url) as connection:
        rows = connection.execute("select count(*) from filmgate.access_sessions").fetchone()
    assert rows == (2,)


def test_the_limits_of_sessions_are_settings(settings: Settings, database_url: str) -> None:
    short = settings.model_copy(
        update={"session_idle": timedelta(minutes=10), "session_lifetime": timedelta(hours=1)}
    )
    access = AccessService(short)
    secret, session = access.begin_session(LISA, None)
    (listed,) = access.list_sessions().sessions
    assert listed.expires_at - listed.started_at == timedelta(hours=1)
    change_times(database_url, session.session_id, last_used_at=timedelta(minutes=11))
    assert access.find_session_caller(secret) is None
    assert AccessService(settings).find_session_caller(secret) is not None


def test_the_last_use_is_written_at_most_once_a_minute(
    access: AccessService, database_url: str
) -> None:
    secret, session = access.begin_session(LISA, None)
    change_times(database_url, session.session_id, last_used_at=timedelta(seconds=50))
    before = last_use(access, session.session_id)
    access.find_session_caller(secret)
    assert last_use(access, session.session_id) == before
    change_times(database_url, session.session_id, last_used_at=timedelta(seconds=70))
    access.find_session_caller(secret)
    assert last_use(access, session.session_id) > before + timedelta(seconds=45)


def test_a_user_has_a_limited_number_of_sessions(access: AccessService) -> None:
    oldest, _ = access.begin_session(LISA, None)
    other, _ = access.begin_session(ADA, None)
    for _ in range(MAX_SESSIONS):
        access.begin_session(LISA, None)
    assert len(access.list_sessions("lisa").sessions) == MAX_SESSIONS
    assert access.find_session_caller(oldest) is None
    assert access.find_session_caller(other) is not None


def test_a_session_of_a_revoked_token_is_not_listed(access: AccessService) -> None:
    token = access.create_token("lisa", Scope.VIEWER)
    caller = access.find_token_holder(token.token)
    assert caller is not None
    access.begin_session(caller, None)
    (listed,) = access.list_sessions().sessions
    assert listed.token_id == token.token_id
    with access.store() as stored:
        stored.revoke(token.token_id)
    assert access.list_sessions().sessions == ()


def test_commands_list_and_end_sessions(
    access: AccessService, tmp_path: Path, database_url: str
) -> None:
    command = Filmgate(tmp_path / "home", database_url)
    first, session = access.begin_session(LISA, ADDRESS)
    second, _ = access.begin_session(LISA, None)
    other, _ = access.begin_session(ADA, None)
    assert session.session_id in command("sessions", "list", "--user", "lisa").stdout
    assert [each["user"] for each in command.json("sessions", "list")["sessions"]] == [
        "ada",
        "lisa",
        "lisa",
    ]
    command("sessions", "revoke", session.session_id)
    assert access.find_session_caller(first) is None
    assert access.find_session_caller(second) is not None
    command("sessions", "revoke", "--user", "lisa")
    assert access.find_session_caller(second) is None
    assert access.find_session_caller(other) is not None
    with pytest.raises(NotFound):
        access.revoke_session(session.session_id)
    with access.store() as stored:
        entries = stored.audit_entries(10, None).entries
    assert [(entry.action, entry.target) for entry in entries] == [
        ("sessions revoke", "lisa"),
        ("sessions revoke", session.session_id),
    ]


def test_a_session_ends_at_the_latest_with_its_token(access: AccessService) -> None:
    token = access.create_token("lisa", Scope.VIEWER, lifetime=timedelta(hours=1))
    holder = access.find_token_holder(token.token)
    assert holder is not None
    secret, _ = access.begin_session(holder, None)
    caller = access.find_session_caller(secret)
    assert caller is not None
    assert caller.expires_at == token.expires_at
    (listed,) = access.list_sessions("lisa").sessions
    assert listed.expires_at == token.expires_at
