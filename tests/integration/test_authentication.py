"""Authentication of tokens and sessions, its limits, and the response to an internal error."""

import asyncio
from pathlib import Path

import httpx
import pytest
import structlog

from filmgate.api.application import create_app
from filmgate.api.authentication import Authenticator, secret_in
from filmgate.api.limits import FAILURES_PER_MINUTE
from filmgate.api.service import AuthMode, Service
from filmgate.core.access import Caller, Scope
from filmgate.core.errors import TooMany
from filmgate.core.plan import Producer
from filmgate.services.access import AccessService
from filmgate.wiring.settings import Settings

NET = Producer(name="net", version="1", weights_sha256="a" * 64)
ADDRESS, OTHER_ADDRESS = "127.0.0.1", "10.0.0.1"


@pytest.fixture
def access(tmp_path: Path, database_url: str) -> AccessService:
    return AccessService(Settings(home=tmp_path, database_url=database_url))


def test_repeated_use_of_a_revoked_token_does_not_lock_out_valid_tokens(
    access: AccessService,
) -> None:
    valid = access.create_token("lisa", Scope.VIEWER)
    revoked = access.create_token("bob", Scope.VIEWER)
    with access.store() as stored:
        stored.revoke(revoked.token_id)

    async def authenticate() -> Caller | None:
        authenticator = Authenticator(access)
        for _ in range(3 * FAILURES_PER_MINUTE):
            assert await authenticator.find_caller("token", revoked.token, ADDRESS) is None
        return await authenticator.find_caller("token", valid.token, ADDRESS)

    caller = asyncio.run(authenticate())
    assert caller is not None
    assert caller.user == "lisa"


async def guess(authenticator: Authenticator, numbers: range, address: str = ADDRESS) -> list[str]:
    """Try a token with another id for each number; return the results."""
    results = []
    for number in numbers:
        try:
            token = f"fg_{number:012}_{'x' * 43}"
            found = await authenticator.find_caller("token", token, address)
            results.append("found" if found else "unknown")
        except TooMany:
            results.append("too many")
    return results


def test_bad_tokens_are_limited_by_address_and_lock_no_good_one_out(access: AccessService) -> None:
    cached = access.create_token("lisa", Scope.VIEWER)
    new = access.create_token("bob", Scope.VIEWER)

    async def authenticate() -> None:
        authenticator = Authenticator(access)
        assert await authenticator.find_caller("token", cached.token, ADDRESS) is not None
        results = await guess(authenticator, range(3 * FAILURES_PER_MINUTE))
        assert results[:FAILURES_PER_MINUTE] == ["unknown"] * FAILURES_PER_MINUTE
        assert set(results[FAILURES_PER_MINUTE:]) == {"too many"}
        for good in (cached, new):
            assert await authenticator.find_caller("token", good.token, ADDRESS) is not None
        assert await guess(authenticator, range(100, 101), OTHER_ADDRESS) == ["unknown"]

    asyncio.run(authenticate())


def test_guesses_at_one_token_are_limited_across_addresses(access: AccessService) -> None:
    good = access.create_token("lisa", Scope.VIEWER)
    token_id = good.token_id

    async def authenticate() -> None:
        authenticator = Authenticator(access)
        for number in range(FAILURES_PER_MINUTE):
            bad = f"fg_{token_id}_{number:043}"
            assert await authenticator.find_caller("token", bad, f"10.0.0.{number}") is None
        with pytest.raises(TooMany):
            await authenticator.find_caller("token", f"fg_{token_id}_{'y' * 43}", "10.0.1.1")
        assert await authenticator.find_caller("token", good.token, "10.0.1.2") is not None

    asyncio.run(authenticate())


def test_good_tokens_are_found_during_many_guesses(access: AccessService) -> None:
    tokens = [access.create_token(f"user-{number}", Scope.VIEWER) for number in range(10)]

    async def authenticate() -> list[Caller | None]:
        authenticator = Authenticator(access)
        guesses = asyncio.gather(
            *(guess(authenticator, range(n, n + 20)) for n in range(0, 800, 20))
        )
        found = [
            await authenticator.find_caller("token", made.token, ADDRESS) for made in tokens * 5
        ]
        await guesses
        return found

    assert None not in asyncio.run(authenticate())


def test_a_revoked_token_is_unknown_once_the_cache_is_empty(access: AccessService) -> None:
    made = access.create_token("lisa", Scope.VIEWER)

    async def authenticate() -> list[Caller | None]:
        authenticator = Authenticator(access)
        assert await authenticator.find_caller("token", made.token, None) is not None
        with access.store() as stored:
            await asyncio.to_thread(stored.revoke, made.token_id)
        authenticator.clear_cache()
        return [await authenticator.find_caller("token", made.token, None) for _ in range(100)]

    assert asyncio.run(authenticate()) == [None] * 100


@pytest.mark.parametrize("before", ['prefs={"a":1}', "bare", "a=b=c", "=", "x=\x7f"])
def test_a_session_is_found_among_other_cookies(before: str) -> None:
    headers = {"cookie": f"{before}; filmgate_session=secret"}
    assert secret_in(headers) == ("session", "secret")


@pytest.mark.parametrize("name", ["Forwarded", "X-Forwarded-For", "X-Real-IP", "Via"])
def test_a_request_that_a_proxy_forwarded_needs_authentication_in_spite_of_no_auth(
    tmp_path: Path, name: str
) -> None:
    app = create_app(Service(Settings(home=tmp_path), AuthMode.OPEN, ()))

    async def request(headers: dict[str, str]) -> int:
        transport = httpx.ASGITransport(app, client=(ADDRESS, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            return (await client.get("/docs", headers=headers)).status_code

    assert asyncio.run(request({})) == 200
    assert asyncio.run(request({name: "for=203.0.113.9"})) == 401


@pytest.mark.parametrize("kind", [RuntimeError, OSError])
def test_an_internal_error_is_logged_and_answered_with_the_request_id(
    tmp_path: Path, kind: type[Exception]
) -> None:
    app = create_app(Service(Settings(home=tmp_path), AuthMode.OPEN, ()))

    @app.get("/boom")
    def boom() -> None:
        raise kind("for the log only")

    async def request() -> httpx.Response:
        transport = httpx.ASGITransport(app, client=(ADDRESS, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            return await client.get("/boom", headers={"x-request-id": "find-me"})

    with structlog.testing.capture_logs() as logged:
        response = asyncio.run(request())
    (event,) = [event for event in logged if event["event"] == "request.fault"]
    assert (event["request_id"], event["exc_info"]) == ("find-me", True)
    assert response.status_code == 500
    assert response.headers["x-request-id"] == "find-me"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.json()["message"].startswith(kind.__name__)
    assert "for the log" not in response.text


def test_an_ended_session_and_a_revoked_token_are_refused_before_a_notification(
    tmp_path: Path, database_url: str
) -> None:
    """The application runs without its listener for notifications of the database."""
    settings = Settings(home=tmp_path, database_url=database_url)
    token = AccessService(settings).create_token("lisa", Scope.ADMIN)
    service = Service(settings, AuthMode.REQUIRED, ())
    bearer = {"authorization": f"Bearer {token.token}"}

    async def end_both() -> list[int]:
        transport = httpx.ASGITransport(create_app(service), client=(ADDRESS, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
            begun = await http.post("/v1/session", headers=bearer)
            assert begun.status_code == 201, begun.text
            cookie = {"cookie": begun.headers["set-cookie"].split(";")[0]}
            change = {**cookie, "x-csrf-token": begun.json()["csrf"]}
            http.cookies.clear()
            responses = [
                await http.get("/v1/session", headers=cookie),
                await http.delete("/v1/session", headers=change),
                await http.get("/v1/session", headers=cookie),
                await http.delete(f"/v1/tokens/{token.token_id}", headers=bearer),
                await http.get("/v1/tokens", headers=bearer),
            ]
            return [response.status_code for response in responses]

    with service.database.pooled(2):
        assert asyncio.run(end_both()) == [200, 204, 401, 200, 401]


def test_only_an_admin_erases_people_and_no_log_contains_the_name(
    tmp_path: Path, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Settings(home=tmp_path, database_url=database_url)
    service = Service(settings, AuthMode.REQUIRED, ())
    access = AccessService(settings)
    tokens = {scope: access.create_token("bob", scope).token for scope in Scope}
    with service.people.store() as store:
        store.name("film", "r1", "c1", "Lisa Quibble", NET, [0.1], "b" * 64)

    async def erase_with(scope: Scope) -> httpx.Response:
        transport = httpx.ASGITransport(create_app(service), client=(ADDRESS, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
            headers = {"authorization": f"Bearer {tokens[scope]}"}
            return await http.delete("/v1/people/lisa%20quibble", headers=headers)

    codes = [asyncio.run(erase_with(scope)).status_code for scope in (*Scope, Scope.ADMIN)]
    assert codes == [403, 403, 200, 404]
    with service.people.store() as store, access.store() as audited:
        assert store.all().people == ()
        entries = audited.audit_entries(10, None).entries
    assert [entry.target for entry in entries] == ["/v1/people/{person}"] * 4
    assert entries[1].details == {"runs": 0, "dry_run": False}
    logged = capsys.readouterr()
    assert "quibble" not in (logged.out + logged.err).lower()
    assert "quibble" not in entries[0].model_dump_json().lower()
