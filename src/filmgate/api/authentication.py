"""Authentication: find the caller of a token or session, with a short-lived cache of results."""

import time
from collections import OrderedDict
from typing import Literal

from anyio import CapacityLimiter, to_thread
from starlette.requests import cookie_parser

from filmgate.api import limits
from filmgate.core.access import Caller, parse_token
from filmgate.core.digest import sha256_hex
from filmgate.services.access import AccessService
from filmgate.wiring.clock import utc_now

COOKIE = "filmgate_session"
CACHE_S = 15.0
"""Time for which a lookup result is cached, in seconds. A revocation clears the cache at once."""

MAX_CACHED = 10_000
"""Maximum number of cached valid results, and of invalid ones; the oldest are dropped first."""

LOOKUPS = 4
"""Maximum number of concurrent lookups of secrets that are not cached as valid."""

MAX_SECRET = 200
"""Number of characters of a secret that are used in the lookup; the rest is ignored."""

Kind = Literal["token", "session"]


class Authenticator:
    """Looks up tokens and sessions. Used within one process, on its event loop.

    Failures are counted per client address and per token id. When either count exceeds its limit,
    a failure is answered with 429 (TooMany) instead of 401. Each secret is looked up before it is
    counted, so that invalid secrets never lock out valid secrets from the same address. The number
    of concurrent lookups (`LOOKUPS`) is limited, which protects the database from many guesses.
    """

    def __init__(self, access: AccessService) -> None:
        self._access = access
        self._valid: OrderedDict[str, tuple[Caller, float]] = OrderedDict()
        self._invalid: OrderedDict[str, float] = OrderedDict()
        self._by_address = limits.failure_buckets()
        self._by_token = limits.failure_buckets()
        self._lookups = CapacityLimiter(LOOKUPS)
        self.generation = 0
        """Number of times the cache was cleared because a caller lost a permission."""

    def clear_cache(self) -> None:
        """Clear the cache, so that every secret is looked up again."""
        self._valid.clear()
        self._invalid.clear()
        self.generation += 1

    async def find_caller(self, kind: Kind, secret: str, address: str | None) -> Caller | None:
        """Return the caller that a secret belongs to, or None if it is invalid.

        Raises TooMany for an invalid secret if its client address or its token id has failed too
        often. A repeated invalid secret is counted once per `CACHE_S`. If `address` is None,
        failures are not counted.
        """
        key, now = sha256_hex(f"{kind} {secret}".encode()), time.monotonic()
        cached = self._valid.get(key)
        if cached is not None and cached[1] > now:
            return cached[0]
        if self._invalid.get(key, 0.0) > now:
            return None
        generation = self.generation
        is_token = kind == "token"
        find = self._access.find_token_holder if is_token else self._access.find_session_caller
        limiter = None if cached is not None else self._lookups
        found = await to_thread.run_sync(find, secret[:MAX_SECRET], limiter=limiter)
        if generation == self.generation:
            self._cache(key, found)
        if found is None and address is not None:
            self._count_failure(kind, secret, address)
        return found

    def _cache(self, key: str, found: Caller | None) -> None:
        until = time.monotonic() + _cache_lifetime_s(found)
        if found is not None:
            self._valid[key] = (found, until)
            _shrink(self._valid)
        else:
            self._valid.pop(key, None)
            self._invalid[key] = until
            _shrink(self._invalid)

    def _count_failure(self, kind: Kind, secret: str, address: str) -> None:
        token = parse_token(secret) if kind == "token" else None
        if token is not None:
            self._by_token.take(token[0])
        self._by_address.take(address)


def _shrink(cache: OrderedDict[str, float] | OrderedDict[str, tuple[Caller, float]]) -> None:
    while len(cache) > MAX_CACHED:
        cache.popitem(last=False)


def _cache_lifetime_s(caller: Caller | None) -> float:
    """Return how long a result may be cached: at most until the token or session expires.

    Invalid results can be cached too, because an invalid secret never becomes valid.
    """
    if caller is None or caller.expires_at is None:
        return CACHE_S
    return min(CACHE_S, (caller.expires_at - utc_now()).total_seconds())


def secret_in(headers: dict[str, str]) -> tuple[Kind, str] | None:
    """Return the token of a request, else its session cookie, else None."""
    kind, _, token = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return "token", token.strip()
    found = cookie_parser(headers.get("cookie", "")).get(COOKIE)
    return ("session", found) if found is not None else None
