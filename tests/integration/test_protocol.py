"""Limits of the HTTP protocol that hold before a request reaches the application."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from filmgate.api import protocol
from filmgate.api.protocol import (
    HEADER_BYTES,
    HEADER_FIELDS,
    MAX_CONNECTIONS,
    PIPELINED,
    TARGET_BYTES,
    ConnectionLimit,
    protocol_factory,
)
from filmgate.core.errors import UsageError

Exchange = Callable[["Peer"], Awaitable[None]]
"""Requests and assertions of a test, made with a peer of a running server."""

GET = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"


class Peer:
    """A client that sends raw bytes."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def open(self, host: str = "127.0.0.1") -> tuple[asyncio.StreamReader, Any]:
        return await asyncio.open_connection(
            "127.0.0.1", self._port, local_addr=(host, 0), limit=2**22
        )

    async def ask(self, *parts: bytes) -> bytes:
        """Send parts; return the response, until the server closes or sends nothing for 2 s."""
        reader, writer = await self.open()
        try:
            for part in parts:
                writer.write(part)
                await writer.drain()
        except ConnectionError:
            pass
        answer = b""
        try:
            async with asyncio.timeout(2):
                while part := await reader.read(65536):
                    answer += part
                    if b"}" in answer or answer.endswith(b"ok"):
                        break
        except ConnectionError:
            pass
        finally:
            writer.close()
        return answer


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Read the body and answer ok; `/slow` waits a second, `/early` reads no body."""
    while scope["path"] != "/early" and (await receive()).get("more_body"):
        pass
    if scope["path"] == "/slow":
        await asyncio.sleep(1)
    headers = [(b"content-length", b"2"), (b"fields", str(len(scope["headers"])).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"ok"})


def run_exchange(
    exchange: Exchange,
    *,
    per_address: int = 0,
    proxies: str = "",
    in_total: int = MAX_CONNECTIONS,
) -> None:
    """Start a server with the limits, make the exchange with it, and stop it."""

    async def run() -> None:
        config = uvicorn.Config(
            app,
            port=0,
            lifespan="off",
            log_config=None,
            http=protocol_factory(ConnectionLimit(per_address, proxies, in_total)),  # type: ignore[arg-type]
        )
        server = uvicorn.Server(config)
        config.load()
        server.lifespan = config.lifespan_class(config)
        await server.startup()
        try:
            await exchange(Peer(server.servers[0].sockets[0].getsockname()[1]))
        finally:
            await server.shutdown()

    asyncio.run(run())


def status(answer: bytes) -> bytes:
    return answer.split(b" ", 2)[1] if answer else b"closed"


def statuses(answers: bytes) -> list[bytes]:
    return [answer[:3] for answer in answers.split(b"HTTP/1.1 ")[1:]]


def head(*fields: bytes, target: bytes = b"/") -> bytes:
    return b"\r\n".join([b"GET " + target + b" HTTP/1.1", b"Host: here", *fields, b"", b""])


@pytest.mark.parametrize(
    ("request_bytes", "expected"),
    [
        (head(), b"200"),
        (head(b"x: " + b"v" * (HEADER_BYTES - 100)), b"200"),
        (head(b"x: " + b"v" * HEADER_BYTES), b"431"),
        (head(b"x: " + b"v" * 2_000_000), b"431"),
        (head(b"n" * 2_000_000 + b": v"), b"431"),
        (head(*(b"a%d: v" % n for n in range(HEADER_FIELDS - 1))), b"200"),
        (head(*(b"a%d: v" % n for n in range(HEADER_FIELDS))), b"431"),
        (head(*(b"a%d: " % n + b"v" * 900 for n in range(90))), b"431"),
        (head(target=b"/" + b"p" * (TARGET_BYTES - 1)), b"200"),
        (head(target=b"/" + b"p" * TARGET_BYTES), b"431"),
        (head(target=b"/" + b"p" * 2_000_000), b"431"),
        (b"\r\n" * 500_000, b"431"),
        (b"nonsense\r\n\r\n", b"400"),
    ],
)
def test_a_request_head_is_accepted_up_to_its_limits(request_bytes: bytes, expected: bytes) -> None:
    async def exchange(peer: Peer) -> None:
        answer = await peer.ask(request_bytes)
        assert status(answer) == expected
        if expected != b"200":
            body = json.loads(answer.partition(b"\r\n\r\n")[2])
            assert set(body) == {"error", "message", "details", "timestamp"}

    run_exchange(exchange)


def test_a_large_body_does_not_count_as_a_large_head() -> None:
    async def exchange(peer: Peer) -> None:
        body = b"b" * 3_000_000
        head = b"POST / HTTP/1.1\r\nHost: here\r\n"
        assert status(await peer.ask(head + b"Content-Length: 3000000\r\n\r\n" + body)) == b"200"
        chunks = b"".join(b"%x\r\n%s\r\n" % (1000, body[:1000]) for _ in range(1000))
        chunked = head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"
        assert status(await peer.ask(chunked)) == b"200"
        tiny = head + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nb\r\n" * 100_000 + b"0\r\n\r\n"
        assert status(await peer.ask(tiny)) == b"200"

    run_exchange(exchange)


@pytest.mark.parametrize(
    "trailer",
    [b"x: " + b"v" * 2_000_000, b"".join(b"x: v\r\n" for _ in range(100_000))],
)
def test_trailer_fields_are_limited_like_header_fields(trailer: bytes) -> None:
    async def exchange(peer: Peer) -> None:
        start = b"POST / HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n"
        assert status(await peer.ask(start, b"1\r\nb\r\n0\r\n", trailer)) in {b"431", b"closed"}

    run_exchange(exchange)


def test_trailer_fields_do_not_become_header_fields() -> None:
    async def exchange(peer: Peer) -> None:
        start = b"POST / HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n"
        answer = await peer.ask(start, b"1\r\nb\r\n0\r\nAuthorization: no\r\n\r\n")
        assert b"fields: 2\r\n" in answer

    run_exchange(exchange)


def test_a_head_that_is_late_is_refused_and_a_silent_connection_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(protocol, "HEADER_S", 0.3)

    async def exchange(peer: Peer) -> None:
        assert status(await peer.ask()) == b"closed"
        assert status(await peer.ask(b"GET / HTTP/1.1\r\nHo")) == b"408"
        reader, writer = await peer.open()
        writer.write(GET)
        assert status(await reader.readuntil(b"ok")) == b"200"
        writer.write(b"\r\n")  # ends uvicorn's keep-alive timer without starting a request
        assert status(await reader.read()) == b"408"
        writer.close()

    run_exchange(exchange)


def test_slow_bytes_do_not_extend_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEADER_S", 0.5)

    async def exchange(peer: Peer) -> None:
        reader, writer = await peer.open()
        started = asyncio.get_running_loop().time()
        for letter in b"GET / HTTP/1.1\r\nHost"[:18]:
            writer.write(bytes([letter]))
            await asyncio.sleep(0.05)
        assert status(await reader.read()) == b"408"
        assert asyncio.get_running_loop().time() - started < 5
        writer.close()

    run_exchange(exchange)


def test_a_handler_may_take_longer_than_the_deadline_of_the_head(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(protocol, "HEADER_S", 0.2)

    async def exchange(peer: Peer) -> None:
        slow = GET.replace(b"/ ", b"/slow ", 1)
        assert status(await peer.ask(slow)) == b"200"
        assert status(await peer.ask(slow + b"GET /")) == b"200"

    run_exchange(exchange)


def test_a_connection_with_an_unread_body_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEADER_S", 0.3)

    async def exchange(peer: Peer) -> None:
        reader, writer = await peer.open()
        writer.write(b"POST /early HTTP/1.1\r\nHost: here\r\nContent-Length: 1000000\r\n\r\n")
        assert status(await reader.readuntil(b"ok")) == b"200"
        writer.write(b"x")
        async with asyncio.timeout(3):
            assert await reader.read() == b""
        writer.close()

    run_exchange(exchange)


def test_pipelined_requests_of_a_connection_are_limited() -> None:
    async def exchange(peer: Peer) -> None:
        slow = GET.replace(b"/ ", b"/slow ", 1)
        few = await peer.ask(slow + GET * (PIPELINED // 2))
        assert status(few) == b"200"
        reader, writer = await peer.open()
        writer.write(slow + GET * 5000)
        assert statuses(await reader.read()) == [b"200"] * (PIPELINED + 1) + [b"429"]
        writer.close()

    run_exchange(exchange)


def test_connections_are_limited_for_each_address() -> None:
    async def exchange(peer: Peer) -> None:
        held = [await peer.open("127.0.0.2") for _ in range(5)]
        reader, writer = await peer.open("127.0.0.2")
        assert status(await reader.read()) in {b"429", b"closed"}
        writer.close()
        assert status(await peer.ask(GET)) == b"200"
        held.pop()[1].close()
        await asyncio.sleep(0.1)
        reader, writer = await peer.open("127.0.0.2")
        writer.write(GET)
        assert status(await reader.readuntil(b"ok")) == b"200"
        for _, opened in [*held, (reader, writer)]:
            opened.close()

    run_exchange(exchange, per_address=5)


@pytest.mark.parametrize("proxies", ["127.0.0.2", "10.0.0.1, 127.0.0.0/30", "*"])
def test_connections_of_a_trusted_proxy_are_not_limited(proxies: str) -> None:
    async def exchange(peer: Peer) -> None:
        held = [await peer.open("127.0.0.2") for _ in range(5)]
        reader, writer = held[-1]
        writer.write(GET)
        assert status(await reader.readuntil(b"ok")) == b"200"
        for _, opened in held:
            opened.close()

    run_exchange(exchange, per_address=2, proxies=proxies)


def test_an_ipv6_network_counts_as_one_address() -> None:
    limit = ConnectionLimit(2)
    assert limit.open("2001:db8::1")
    assert limit.open("2001:db8::ffff")
    assert not limit.open("2001:db8::2")
    assert limit.open("2001:db8:0:1::2")
    assert limit.open("::ffff:10.0.0.1")
    assert limit.open("10.0.0.1")
    assert not limit.open("10.0.0.1")
    limit.close("2001:db8::1")
    assert limit.open("2001:db8::9")


def test_a_bad_proxy_address_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="not-an-address"):
        ConnectionLimit(1, "not-an-address")


@pytest.mark.parametrize("proxies", ["10.0.0.5/8", "10.0.0.1,*", "*,*"])
def test_proxies_that_the_server_reads_differently_are_a_usage_error(proxies: str) -> None:
    with pytest.raises(UsageError):
        ConnectionLimit(1, proxies)


def test_earlier_requests_are_answered_before_a_later_one_is_refused() -> None:
    async def exchange(peer: Peer) -> None:
        reader, writer = await peer.open()
        writer.write(head(target=b"/slow") + GET + b"\x00garbage\r\n\r\n")
        assert statuses(await reader.read()) == [b"200", b"200", b"400"]
        writer.close()

    run_exchange(exchange)


UPGRADE = b"Connection: Upgrade\r\nUpgrade: h2c\r\n"


def test_the_body_of_an_upgrade_request_is_never_read_as_a_request() -> None:
    async def exchange(peer: Peer) -> None:
        head = b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 40\r\n" + UPGRADE + b"\r\n"
        answer = await peer.ask(head, b"GET /smuggled HTTP/1.1\r\nHost: here\r\n\r\n")
        assert status(answer) == b"400"
        assert answer.count(b"HTTP/1.1 ") == 1

    run_exchange(exchange)


def test_an_upgrade_request_is_answered_as_plain_http_and_the_connection_closed() -> None:
    async def exchange(peer: Peer) -> None:
        reader, writer = await peer.open()
        writer.write(b"GET / HTTP/1.1\r\nHost: here\r\n" + UPGRADE + b"\r\n" + GET)
        answer = await reader.read()
        assert status(answer) == b"200"
        assert answer.count(b"HTTP/1.1 ") == 1
        writer.close()

    run_exchange(exchange)


def test_connections_over_the_total_are_refused_and_open_ones_still_answered() -> None:
    async def exchange(peer: Peer) -> None:
        reader, writer = await peer.open("127.0.0.2")
        other = (await peer.open("127.0.0.3"))[1]
        assert status(await peer.ask()) == b"503"
        writer.write(head(b"connection: close"))
        assert status(await reader.read()) == b"200"
        writer.close()
        other.close()

    run_exchange(exchange, in_total=2)


def test_all_addresses_together_have_so_many_connections() -> None:
    limit = ConnectionLimit(0, in_total=3)
    assert [limit.is_full() or limit.open(f"10.0.0.{n}") for n in range(3)] == [True] * 3
    assert limit.is_full()
    limit.close("10.0.0.1")
    assert not limit.is_full()
