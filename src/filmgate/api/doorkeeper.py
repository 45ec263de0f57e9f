"""The doorkeeper: knows who goes by which token or session, and remembers it for a moment."""

import time
from collections import OrderedDict
from typing import Any, Literal

from anyio import CapacityLimiter, to_thread
from starlette.requests import cookie_parser

from filmgate.api import limits
from filmgate.app.access import Access
from filmgate.app.clock import utc_now
from filmgate.core.access import Caller, read_token
from filmgate.core.digest import sha256_hex

COOKIE = "filmgate_session"
REMEMBER_S = 15.0
"""How long it is believed, unasked, who holds a token; whoever revokes one is heard at once."""

MOST_REMEMBERED = 10_000
LOOKUPS = 4
"""Lookups at a time of secrets that were not good lately."""

LONGEST_SECRET = 200

Kind = Literal["token", "session"]


class Doorkeeper:
    """Looks up tokens and sessions. Used within one process, on its event loop.

    A secret is always looked up before anything is counted, so that bad ones never lock out good
    ones from the same address. Only failures count, by client address and by token id separately;
    beyond the limit of either a failure is TooMany (429) instead of 401. What protects the database
    from many guesses is that secrets which were not good lately share `LOOKUPS` lookups at a time.
    """

    def __init__(self, access: Access) -> None:
        self._access = access
        self._good: OrderedDict[str, tuple[Caller, float]] = OrderedDict()
        self._bad: OrderedDict[str, float] = OrderedDict()
        self._by_address = limits.failures()
        self._by_token = limits.failures()
        self._lookups = CapacityLimiter(LOOKUPS)
        self.generation = 0
        """Rises whenever a caller may do less than before."""

    def forget(self) -> None:
        """Look every secret up again."""
        self._good.clear()
        self._bad.clear()
        self.generation += 1

    async def caller(self, kind: Kind, secret: str, address: str | None) -> Caller | None:
        """Return the caller that a secret belongs to, or None where it is not good.

        Raises TooMany for a bad secret where its address, or the token id it names, has failed too
        often. A bad secret that is repeated counts once in `REMEMBER_S`. Without an address nothing
        is counted.
        """
        key, now = sha256_hex(f"{kind} {secret}".encode()), time.monotonic()
        known = self._good.get(key)
        if known is not None and known[1] > now:
            return known[0]
        if self._bad.get(key, 0.0) > now:
            return None
        generation = self.generation
        find = self._access.holder if kind == "token" else self._access.session
        limiter = None if known is not None else self._lookups
        found = await to_thread.run_sync(find, secret[:LONGEST_SECRET], limiter=limiter)
        if generation == self.generation:
            self._remember(key, found)
        if found is None and address is not None:
            self._count_failure(kind, secret, address)
        return found

    def _remember(self, key: str, found: Caller | None) -> None:
        until = time.monotonic() + _believed_s(found)
        if found is not None:
            self._good[key] = (found, until)
            _shrink(self._good)
        else:
            self._good.pop(key, None)
            self._bad[key] = until
            _shrink(self._bad)

    def _count_failure(self, kind: Kind, secret: str, address: str) -> None:
        token = read_token(secret) if kind == "token" else None
        if token is not None:
            self._by_token.take(token[0])
        self._by_address.take(address)


def _shrink(remembered: OrderedDict[str, Any]) -> None:
    while len(remembered) > MOST_REMEMBERED:
        remembered.popitem(last=False)


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
