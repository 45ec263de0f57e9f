"""Who is let in, who is kept out, and what is told when something goes wrong inside."""

import asyncio
from pathlib import Path

import httpx
import pytest
import structlog

from filmgate.api.application import create_app
from filmgate.api.doorkeeper import Doorkeeper, secret_in
from filmgate.api.limits import FAILURES_PER_MINUTE
from filmgate.api.service import Door, Service
from filmgate.app.access import Access
from filmgate.app.settings import Settings
from filmgate.core.access import Caller, Scope
from filmgate.core.errors import TooMany

HERE, THERE = "127.0.0.1", "10.0.0.1"


@pytest.fixture
def access(tmp_path: Path, database_url: str) -> Access:
    return Access(Settings(home=tmp_path, database_url=database_url))


def test_one_who_goes_on_with_a_token_that_has_ended_locks_nobody_out(access: Access) -> None:
    made = access.create("lisa", Scope.VIEWER)
    ended = access.create("bob", Scope.VIEWER)
    access.revoke(ended.token_id)

    async def ask() -> Caller | None:
        keeper = Doorkeeper(access)
        for _ in range(3 * FAILURES_PER_MINUTE):
            assert await keeper.caller("token", ended.token, HERE) is None
        return await keeper.caller("token", made.token, HERE)

    caller = asyncio.run(ask())
    assert caller is not None
    assert caller.user == "lisa"


async def guess(keeper: Doorkeeper, numbers: range, address: str = HERE) -> list[str]:
    """What a guesser hears who tries a token of another id each time."""
    heard = []
    for number in numbers:
        try:
            found = await keeper.caller("token", f"fg_{number:012}_{'x' * 43}", address)
            heard.append("let in" if found else "unknown")
        except TooMany:
            heard.append("too many")
    return heard


def test_bad_tokens_are_limited_by_address_and_lock_no_good_one_out(access: Access) -> None:
    made = access.create("lisa", Scope.VIEWER)
    new = access.create("bob", Scope.VIEWER)

    async def ask() -> None:
        keeper = Doorkeeper(access)
        assert await keeper.caller("token", made.token, HERE) is not None
        heard = await guess(keeper, range(3 * FAILURES_PER_MINUTE))
        assert heard[:FAILURES_PER_MINUTE] == ["unknown"] * FAILURES_PER_MINUTE
        assert set(heard[FAILURES_PER_MINUTE:]) == {"too many"}
        for good in (made, new):
            assert await keeper.caller("token", good.token, HERE) is not None
        assert await guess(keeper, range(100, 101), THERE) == ["unknown"]

    asyncio.run(ask())


def test_guesses_at_one_token_are_limited_wherever_they_come_from(access: Access) -> None:
    made = access.create("lisa", Scope.VIEWER)
    token_id = made.token_id

    async def ask() -> None:
        keeper = Doorkeeper(access)
        for number in range(FAILURES_PER_MINUTE):
            bad = f"fg_{token_id}_{number:043}"
            assert await keeper.caller("token", bad, f"10.0.0.{number}") is None
        with pytest.raises(TooMany):
            await keeper.caller("token", f"fg_{token_id}_{'y' * 43}", "10.0.1.1")
        assert await keeper.caller("token", made.token, "10.0.1.2") is not None

    asyncio.run(ask())


def test_good_tokens_are_found_while_a_guesser_is_at_work(access: Access) -> None:
    made = [access.create(f"user-{number}", Scope.VIEWER) for number in range(10)]

    async def ask() -> list[Caller | None]:
        keeper = Doorkeeper(access)
        guesses = asyncio.gather(*(guess(keeper, range(n, n + 20)) for n in range(0, 800, 20)))
        good = [await keeper.caller("token", each.token, HERE) for each in made * 5]
        await guesses
        return good

    assert None not in asyncio.run(ask())


def test_every_stream_of_a_token_that_was_revoked_hears_of_it(access: Access) -> None:
    made = access.create("lisa", Scope.VIEWER)

    async def ask() -> list[Caller | None]:
        keeper = Doorkeeper(access)
        assert await keeper.caller("token", made.token, None) is not None
        await asyncio.to_thread(access.revoke, made.token_id)
        keeper.forget()
        return [await keeper.caller("token", made.token, None) for _ in range(100)]

    assert asyncio.run(ask()) == [None] * 100


@pytest.mark.parametrize("before", ['prefs={"a":1}', "bare", "a=b=c", "=", "x=\x7f"])
def test_a_session_is_found_beside_cookies_of_others(before: str) -> None:
    headers = {"cookie": f"{before}; filmgate_session=mine"}
    assert secret_in(headers) == ("session", "mine")


@pytest.mark.parametrize("kind", [RuntimeError, OSError])
def test_a_fault_is_told_with_the_id_by_which_the_log_tells_more(
    tmp_path: Path, kind: type[Exception]
) -> None:
    app = create_app(Service(Settings(home=tmp_path), Door.OPEN, ()))

    @app.get("/boom")
    def boom() -> None:
        raise kind("what only the log may know")

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app, client=(HERE, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as asker:
            return await asker.get("/boom", headers={"x-request-id": "find-me"})

    with structlog.testing.capture_logs() as logged:
        answer = asyncio.run(ask())
    (told,) = [each for each in logged if each["event"] == "request.fault"]
    assert (told["request_id"], told["exc_info"]) == ("find-me", True)
    assert answer.status_code == 500
    assert answer.headers["x-request-id"] == "find-me"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.json()["message"].startswith(kind.__name__)
    assert "only the log" not in answer.text
