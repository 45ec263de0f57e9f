"""Limits: how often somebody may ask, how large a body may be, and how long it may take to come."""

import asyncio
import time
from collections import OrderedDict

from starlette.types import Message, Receive
from starlette.types import Scope as Request

from filmgate.core.errors import TooLarge, TooMany, TooSlow

BODY_BYTES = 256 * 1024
"""Of any request but an upload."""

BODY_S = 10.0
"""For all of such a body to come."""

IDLE_S = 30.0
"""For the next piece of an upload to come."""

BURST_S = 2.0
"""So many seconds' worth may be asked at once."""

CALLERS = 10_000
"""So many are remembered; those who asked longest ago are forgotten first."""

FAILURES_PER_MINUTE = 20
"""Of one address, to say who asks."""


class Buckets:
    """A token bucket for each caller. Within one process, on its event loop."""

    def __init__(self, rate_per_s: float, burst: float | None = None) -> None:
        self._rate = rate_per_s
        self._burst = burst if burst is not None else max(1.0, rate_per_s * BURST_S)
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, caller: str) -> None:
        """Count a request; TooMany where the caller has asked too much of late."""
        if self._rate <= 0:
            return
        left = self.left(caller)
        if left < 1.0:
            wait_s = (1.0 - left) / self._rate
            raise TooMany(
                "too many requests",
                expected=f"{self._rate:g} a second on average",
                got="more",
                hint="Come again a little later",
                retry_after_s=max(1, round(wait_s)),
            )
        self._left[caller] = (left - 1.0, time.monotonic())
        self._left.move_to_end(caller)
        while len(self._left) > CALLERS:
            self._left.popitem(last=False)

    def left(self, caller: str) -> float:
        """How many requests the caller has left now."""
        held, at = self._left.get(caller, (self._burst, 0.0))
        return min(self._burst, held + (time.monotonic() - at) * self._rate)


def failures() -> Buckets:
    """For those who fail to say who they are."""
    return Buckets(FAILURES_PER_MINUTE / 60.0, FAILURES_PER_MINUTE)


async def whole_body(request: Request, receive: Receive) -> Receive:
    """Read a small body before anything else is done, and give it out again.

    Raises TooLarge and TooSlow.
    """
    announced = _announced(request)
    if announced is not None and announced > BODY_BYTES:
        raise too_large(BODY_BYTES, announced)
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_S):
            while True:
                message = await receive()
                if message["type"] != "http.request":
                    return _again([message], receive)
                body += message.get("body", b"")
                if len(body) > BODY_BYTES:
                    raise too_large(BODY_BYTES, None)
                if not message.get("more_body"):
                    break
    except TimeoutError:
        raise TooSlow(
            "the request's body does not come", expected=f"all of it within {BODY_S:g} s"
        ) from None
    return _again([{"type": "http.request", "body": bytes(body), "more_body": False}], receive)


def too_large(limit: int, got: int | None) -> TooLarge:
    """The error of a body over its limit."""
    return TooLarge(
        "the request's body is too large",
        expected=f"up to {limit:,} bytes",
        got=f"{got:,} bytes" if got is not None else "more",
    )


def _announced(request: Request) -> int | None:
    for name, value in request["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return None


def _again(messages: list[Message], receive: Receive) -> Receive:
    waiting = list(messages)

    async def told() -> Message:
        return waiting.pop(0) if waiting else await receive()

    return told
