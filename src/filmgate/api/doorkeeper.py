"""The doorkeeper: knows who goes by which token or session, and remembers it for a moment."""

import time
from collections.abc import Callable
from typing import Literal

from anyio import to_thread
from starlette.requests import cookie_parser

from filmgate.api import limits
from filmgate.app.access import Access
from filmgate.app.clock import utc_now
from filmgate.core.access import Caller
from filmgate.core.digest import sha256_hex

COOKIE = "filmgate_session"
REMEMBER_S = 15.0
"""How long it is believed, unasked, who holds a token; whoever revokes one is heard at once."""

MOST_REMEMBERED = 10_000
LONGEST_SECRET = 200

Kind = Literal["token", "session"]


class Doorkeeper:
    """Within one process, on its event loop."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._known: dict[str, tuple[Caller | None, float]] = {}
        self._failures = limits.failures()
        self.generation = 0
        """Rises whenever somebody may do less than before."""

    def forget(self) -> None:
        """Ask again who holds what."""
        self._known.clear()
        self.generation += 1

    async def caller(self, kind: Kind, secret: str, address: str | None) -> Caller | None:
        """Who goes by a secret; None where it is not good. TooMany for an address that has tried
        too many of those: each counts once in a while, so that a program that goes on with one
        that has ended locks nobody out. Without an address nothing is counted."""
        key = sha256_hex(f"{kind} {secret}".encode())
        known = self._known.get(key)
        if known is not None and known[1] > time.monotonic():
            return known[0]
        if address is not None and self._failures.left(address) < 1.0:
            self._failures.take(address)  # raises
        generation = self.generation
        ask: Callable[[str], Caller | None] = (
            self._access.holder if kind == "token" else self._access.session
        )
        found = await to_thread.run_sync(ask, secret[:LONGEST_SECRET])
        if found is None and address is not None:
            self._failures.take(address)
        if len(self._known) >= MOST_REMEMBERED:
            self._known.clear()
        if generation == self.generation:
            self._known[key] = (found, time.monotonic() + _believed_s(found))
        return found


def _believed_s(caller: Caller | None) -> float:
    """How long it may be believed: never past its end. What is not good never becomes so."""
    if caller is None or caller.good_until is None:
        return REMEMBER_S
    return min(REMEMBER_S, (caller.good_until - utc_now()).total_seconds())


def secret_in(headers: dict[str, str]) -> tuple[Kind, str] | None:
    """What a request shows for who sends it: a token before a session; None where nothing."""
    kind, _, token = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return "token", token.strip()
    found = cookie_parser(headers.get("cookie", "")).get(COOKIE)
    return ("session", found) if found is not None else None
