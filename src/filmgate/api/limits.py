"""Limits of requests: rate per caller, size of a body, and time until the body has arrived."""

import asyncio
import time
from collections import OrderedDict

from starlette.types import Message, Receive
from starlette.types import Scope as ASGIScope

from filmgate.core.errors import TooLarge, TooMany, TooSlow

BODY_BYTES = 256 * 1024
"""Size limit of the body of any request but an upload, in bytes."""

BODY_S = 10.0
"""Time within which the whole body of any request but an upload must arrive, in seconds."""

IDLE_S = 30.0
"""Time within which the next chunk of an upload must arrive, in seconds."""

BURST_S = 2.0
"""Default size of a bucket, as the time in seconds in which its rate allows as many requests."""

MAX_CALLERS = 10_000
"""Maximum number of buckets; those of callers with the oldest requests are dropped first."""

FAILURES_PER_MINUTE = 20
"""Maximum number of failed authentications per minute, per address and per token id."""


class Buckets:
    """Token buckets that limit the request rate of each caller. Use them on one event loop only."""

    def __init__(self, rate_per_s: float, burst: float | None = None) -> None:
        """`rate_per_s`: average number of requests per second; 0 means no limit. `burst`: size of a
        bucket, in requests."""
        self._rate = rate_per_s
        self._burst = burst if burst is not None else max(1.0, rate_per_s * BURST_S)
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, caller: str) -> None:
        """Count a request; raises TooMany if the caller's bucket is empty."""
        if self._rate <= 0:
            return
        left = self.remaining(caller)
        if left < 1.0:
            wait_s = (1.0 - left) / self._rate
            raise TooMany(
                "too many requests",
                expected=f"{self._rate:g} a second on average",
                got="more",
                hint="Retry later",
                retry_after_s=max(1, round(wait_s)),
            )
        self._buckets[caller] = (left - 1.0, time.monotonic())
        self._buckets.move_to_end(caller)
        while len(self._buckets) > MAX_CALLERS:
            self._buckets.popitem(last=False)

    def remaining(self, caller: str) -> float:
        """Return the number of requests in the caller's bucket."""
        level, updated_at = self._buckets.get(caller, (self._burst, 0.0))
        return min(self._burst, level + (time.monotonic() - updated_at) * self._rate)


def failure_buckets() -> Buckets:
    """Return buckets that count failed authentications."""
    return Buckets(FAILURES_PER_MINUTE / 60.0, FAILURES_PER_MINUTE)


async def buffer_body(scope: ASGIScope, receive: Receive) -> Receive:
    """Read a whole small body; return a `receive` function that delivers it.

    Raises TooLarge and TooSlow.
    """
    announced = _content_length(scope)
    if announced is not None and announced > BODY_BYTES:
        raise too_large(BODY_BYTES, announced)
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_S):
            while True:
                message = await receive()
                if message["type"] != "http.request":
                    return _replay([message], receive)
                body += message.get("body", b"")
                if len(body) > BODY_BYTES:
                    raise too_large(BODY_BYTES, None)
                if not message.get("more_body"):
                    break
    except TimeoutError:
        raise TooSlow(
            "the request body did not arrive in time", expected=f"all of it within {BODY_S:g} s"
        ) from None
    return _replay([{"type": "http.request", "body": bytes(body), "more_body": False}], receive)


def too_large(limit: int, got: int | None) -> TooLarge:
    """Return the error for a body over its limit; `got`: its size in bytes, if known."""
    return TooLarge(
        "the request body is too large",
        expected=f"up to {limit:,} bytes",
        got=f"{got:,} bytes" if got is not None else "more",
    )


def _content_length(scope: ASGIScope) -> int | None:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return None


def _replay(messages: list[Message], receive: Receive) -> Receive:
    waiting = list(messages)

    async def replay() -> Message:
        return waiting.pop(0) if waiting else await receive()

    return replay
