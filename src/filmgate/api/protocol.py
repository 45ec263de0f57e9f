"""HTTP/1.1 protocol of the server, with limits that apply before a request reaches the app.

uvicorn buffers request headers without a limit and waits for them without a deadline. The subclass
of its protocol adds a limit, a deadline, and a limit of connections per client address. A refused
connection costs one small response; it is not logged and does not reach authentication.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from functools import partial
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from filmgate.core.errors import (
    FilmgateError,
    HeadersTooLarge,
    Invalid,
    TooMany,
    TooSlow,
    Unavailable,
    UsageError,
    error_body,
)
from filmgate.wiring.clock import utc_now

HEADER_BYTES = 64 * 1024
"""Limit of a request's target, header fields and trailer fields together, in bytes."""

TARGET_BYTES = 16 * 1024
"""Limit of the request target, in bytes."""

HEADER_FIELDS = 100
"""Limit of the number of header fields of a request."""

HEADER_S = 10.0
"""Time within which a whole request head must arrive, in seconds. It starts with the connection;
for later requests, with their first byte."""

BODY_FIELDS = frozenset({b"content-length", b"transfer-encoding"})

PIPELINED = 64
"""Limit of pipelined requests: requests that wait for an earlier response on one connection."""

MAX_CONNECTIONS = 2000
"""Limit of open connections of all addresses together. It is below the limit of open files, so that
connections can be accepted and files can be opened."""

LINGER_S = 1.0
"""Time in which input after a refusal is read and dropped, in seconds. If a connection is closed
with unread input, the kernel sends RST, and the client may lose the response (RFC 9112, 9.6)."""

LINGER_BYTES = 256 * 1024
"""Limit of the input that is dropped after a refusal, in bytes."""

Address = str
"""The key by which connections are counted: an IPv4 address, or the /64 network of an IPv6 one."""


class ConnectionLimit:
    """Counts open connections by client address. Use it on one event loop only."""

    def __init__(
        self, per_address: int, trusted_proxies: str = "", in_total: int = MAX_CONNECTIONS
    ) -> None:
        """`per_address`: limit per address; 0 means no limit. `trusted_proxies`: exempt addresses
        or networks, separated by commas; `*` alone exempts all. Raises UsageError if
        `trusted_proxies` is invalid."""
        self._per_address = per_address
        self._in_total = in_total
        self._open: Counter[Address] = Counter()
        names = [name.strip() for name in trusted_proxies.split(",") if name.strip()]
        self._exempts_all = names == ["*"]
        self._exempt = () if self._exempts_all else tuple(map(_parse_network, names))

    def is_full(self) -> bool:
        """Whether the connections of all addresses together have reached the limit."""
        return self._open.total() >= self._in_total

    def open(self, address: str) -> bool:
        """Count a connection; return False, and do not count it, if its address has too many."""
        key = _count_key(address)
        if self._open[key] >= self._per_address > 0 and not self._is_exempt(address):
            return False
        self._open[key] += 1
        return True

    def close(self, address: str) -> None:
        """Subtract a connection that `open` counted."""
        key = _count_key(address)
        self._open[key] -= 1
        if self._open[key] <= 0:
            del self._open[key]

    def _is_exempt(self, address: str) -> bool:
        if self._exempts_all:
            return True
        try:
            parsed = ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._exempt)


def _parse_network(name: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(name)
    except ValueError as error:
        raise UsageError(
            "an address in --proxies is invalid",
            expected="IP addresses or networks, such as 10.0.0.0/8, with commas; or * alone",
            got=repr(name),
        ) from error


def _count_key(address: str) -> Address:
    """Return the address, or the /64 network of an IPv6 address, which usually is one host."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ip_network((parsed, 64), strict=False))
    return str(parsed)


class _RefusedError(Exception):
    """Raised in a callback of the parser to stop it; the attribute `_refusal` has the reason."""


class LimitedProtocol(HttpToolsProtocol):
    """uvicorn's httptools protocol with the limits of this module.

    Refusals: 431 for a request head that is too large, 408 for a late request head, 429 for an
    address with too many connections, 503 if all addresses together have too many connections, 400
    for input that is not HTTP. A connection that sent nothing is closed without a response.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, object],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        limit: ConnectionLimit,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._limit = limit
        self._counted_address: str | None = None
        self._refusal: FilmgateError | None = None
        self._is_postponed = False  # the refusal waits for the responses to earlier requests
        self._is_closing = False
        self._dropped = 0
        self._awaits_head = True
        self._unparsed = 0  # bytes since the parser last reported progress
        self._head_bytes = 0  # size of the target and the complete fields of this request
        self._head_fields = 0
        self._target_bytes = 0
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Count the connection, or refuse it; start the deadline of its first request head."""
        super().connection_made(transport)
        address = self.client[0] if self.client else None
        if address is not None:
            if self._limit.is_full():
                self._refuse(Unavailable("the server has too many connections"), lingers=False)
                return
            if not self._limit.open(address):
                self._refuse(TooMany("too many connections from this address"), lingers=False)
                return
            self._counted_address = address
        self._deadline = self.loop.call_later(HEADER_S, self._expire)

    def connection_lost(self, exc: Exception | None) -> None:
        """Subtract the connection from the count."""
        if self._counted_address is not None:
            self._limit.close(self._counted_address)
            self._counted_address = None
        self._stop_deadline()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse received bytes, unless the connection is refused."""
        if self._is_closing:
            self._dropped += len(data)
            if self._dropped > LINGER_BYTES:
                self.transport.abort()
            return
        self._unparsed += len(data)
        super().data_received(data)
        if self._has_ended():
            return
        if self._unparsed > HEADER_BYTES:
            self._refuse(_head_too_large(f"up to {HEADER_BYTES:,} bytes", "more"))
            return
        if not self._is_due():
            self._stop_deadline()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(HEADER_S, self._expire)

    def on_message_begin(self) -> None:
        """Start a request head."""
        self._head_bytes = self._head_fields = self._target_bytes = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Add to the request target."""
        self._target_bytes += len(url)
        if self._target_bytes > TARGET_BYTES:
            self._stop_parsing(
                _head_too_large(f"a request target of up to {TARGET_BYTES:,} bytes", "more")
            )
        self._head_bytes += len(url)
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Add a header field; trailer fields are counted and dropped (RFC 9110, 6.5.1)."""
        self._head_fields += 1
        self._head_bytes += len(name) + len(value) + len(b": \r\n")
        if self._head_fields > HEADER_FIELDS:
            self._stop_parsing(_head_too_large(f"up to {HEADER_FIELDS} header fields", "more"))
        if self._head_bytes > HEADER_BYTES:
            self._stop_parsing(_head_too_large(f"up to {HEADER_BYTES:,} bytes", "more"))
        if self._awaits_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Hand the request to the app."""
        if len(self.pipeline) >= PIPELINED:
            self._stop_parsing(TooMany("too many requests wait on this connection"))
        is_upgrade = bool(self.parser.should_upgrade())
        if is_upgrade and any(name in BODY_FIELDS for name, _ in self.headers):
            # The parser would treat the body as data of the other protocol, and the server would
            # then read the body as the next request.
            self._stop_parsing(Invalid("a request to upgrade cannot have a body"))
        self._awaits_head = False
        self._unparsed = 0
        super().on_headers_complete()
        if is_upgrade:  # answered as plain HTTP; later bytes may belong to the other protocol
            self.cycle.keep_alive = False
            self._is_closing = True

    def _unsupported_upgrade_warning(self) -> None:
        """Do not log the warning, because any client could fill the log with it."""

    def on_chunk_header(self) -> None:
        """Record that the parser made progress in a chunked body."""
        self._unparsed = 0

    def on_body(self, body: bytes) -> None:
        """Pass on a part of the body."""
        self._unparsed = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End the request, and expect the head of the next request."""
        self._awaits_head = True
        self._unparsed = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Start the next request; after the last response, send a refusal that was postponed."""
        super().on_response_complete()
        if self._is_postponed and self._refusal is not None and not self._has_open_response():
            self._is_postponed = False
            self._refuse(self._refusal)

    def send_400_response(self, msg: str) -> None:
        """Refuse input at which the parser stopped; the base class's `data_received` calls this."""
        self._refuse(self._refusal or Invalid("the request is not HTTP/1.1", got=msg))

    def _stop_parsing(self, error: FilmgateError) -> None:
        self._refusal = error
        raise _RefusedError

    def _is_due(self) -> bool:
        """Whether the client must send more bytes: the rest of a request head, or the rest of a
        body whose request was answered before the whole body arrived."""
        if self._awaits_head:
            return self._unparsed > 0
        return not self._has_open_response()

    def _has_ended(self) -> bool:
        return self._is_closing or self.transport.is_closing()

    def _has_open_response(self) -> bool:
        # before the first request, `cycle` is None, though its type excludes that
        return not getattr(self.cycle, "response_complete", True)

    def _expire(self) -> None:
        self._deadline = None
        if self.transport.is_closing():
            return
        if self._has_open_response():
            self._deadline = self.loop.call_later(HEADER_S, self._expire)
        elif self._awaits_head and self._unparsed > 0:
            self._refuse(
                TooSlow(
                    "the request's header fields did not arrive in time",
                    expected=f"all of them within {HEADER_S:g} s",
                )
            )
        else:
            self.transport.close()

    def _stop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _refuse(self, error: FilmgateError, *, lingers: bool = True) -> None:
        """Send the error after the responses to earlier requests, then close the connection. If the
        body of an earlier request is incomplete, abort: its response may never end."""
        self._is_closing = True
        self._stop_deadline()
        if self._has_open_response():
            if self._awaits_head:
                self._refusal, self._is_postponed = error, True
            else:
                self.transport.abort()
            return
        body = json.dumps(error_body(error, utc_now())).encode()
        head = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
            (b"connection", b"close"),
        ]
        if isinstance(error, TooMany):
            head.append((b"retry-after", str(int(HEADER_S)).encode()))
        lines = [name + b": " + value + b"\r\n" for name, value in head]
        self.transport.write(b"".join([STATUS_LINE[error.http_status], *lines, b"\r\n", body]))
        if lingers:
            self._deadline = self.loop.call_later(LINGER_S, self.transport.abort)
            if self.transport.can_write_eof():
                self.transport.write_eof()
        else:
            self.transport.close()


def _head_too_large(expected: str, got: str) -> HeadersTooLarge:
    return HeadersTooLarge(
        "the request's header fields are too large",
        expected=expected,
        got=got,
        hint="Remove cookies of this site, or shorten the URL",
    )


def protocol_factory(limit: ConnectionLimit) -> Callable[..., LimitedProtocol]:
    """Return the factory with which uvicorn creates the protocol of each connection."""
    return partial(LimitedProtocol, limit=limit)
