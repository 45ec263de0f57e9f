"""The guard at the door: whatever comes passes here first, and whatever goes is told of here.

In order: the name under which we are reached, who asks, how often, whether a page of somebody
else's sent it, how large it is. Whoever is let in may ask; endpoints that change something say
what that takes. Then the answer: its headers, one line in the log, the metrics,
and for changes a row in the audit log.
"""

import time
from typing import Any
from urllib.parse import SplitResult, urlsplit

import structlog
from anyio import to_thread
from starlette.types import ASGIApp, Message, Receive, Send
from starlette.types import Scope as Request

from filmgate.api import limits
from filmgate.api.answering import fault, refused
from filmgate.api.doorkeeper import secret_in
from filmgate.api.observing import AccessLog, Spans, request_id_of
from filmgate.api.service import Door, Service
from filmgate.core.access import Caller, Scope, Way
from filmgate.core.errors import FilmgateError, Invalid, NotPermitted, Unauthenticated
from filmgate.core.redaction import redact

PUBLIC = frozenset({"/healthz", "/readyz", "/enter", "/", "/favicon.ico"})
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
UPLOADS = frozenset({"/v1/videos"})
ONCE = frozenset({"/enter"})
"""What a GET uses up, a HEAD is not answered for: whoever makes previews asks so."""

FORWARDED = frozenset({"forwarded", "x-forwarded-for", "x-real-ip", "via"})
"""What proxies add: then whoever asks need not be on this machine."""

OPEN = Caller(user="local", scope=Scope.ADMIN, way=Way.OPEN)

HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"x-frame-options": b"DENY",
    b"cross-origin-resource-policy": b"same-origin",
    b"content-security-policy": b"default-src 'none'; style-src 'unsafe-inline'; "
    b"frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
}


class Guard:
    """Around the whole application."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._service = service
        self._access_log = AccessLog()
        self._spans = Spans(is_on="opentelemetry" in service.settings.export)
        self._log: Any = structlog.get_logger()

    async def __call__(self, request: Request, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if request["type"] != "http":
            await self._app(request, receive, send)
            return
        started = time.perf_counter()
        request_id = request_id_of(request)
        request.setdefault("state", {})["request_id"] = request_id
        is_head = request["method"] == "HEAD" and request["path"] not in ONCE
        if is_head:  # as GET, without the body
            request = {**request, "method": "GET"}
            request["state"]["is_head"] = True
        status, has_begun = 500, False

        async def telling(message: Message) -> None:
            nonlocal status, has_begun
            if message["type"] == "http.response.start":
                status, has_begun = message["status"], True
                there = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [
                    *message["headers"],
                    (b"x-request-id", request_id.encode()),
                    *((name, value) for name, value in HEADERS.items() if name not in there),
                ]
            elif is_head:
                message = {**message, "body": b""}
            await send(message)

        try:
            with self._spans.span(request):
                await self._pass(request, receive, telling)
        except Exception as error:
            if has_begun:
                raise
            self._log.exception("request.fault", request_id=request_id)
            await fault(error)(request, receive, telling)
        finally:
            await self._tell(request, status, started)

    async def _pass(self, request: Request, receive: Receive, send: Send) -> None:
        try:
            headers = _headers(request)
            self._check_host(headers)
            caller = await self._caller(request, headers)
            request["state"]["caller"] = caller
            self._service.buckets.take(_bucket(request, caller))
            if request["method"] not in SAFE:
                _check_origin(headers, caller)
                if request["path"] not in UPLOADS:
                    receive = await limits.whole_body(request, receive)
        except FilmgateError as error:
            await refused(error)(request, receive, send)
            return
        await self._app(request, receive, send)

    def _check_host(self, headers: dict[str, str]) -> None:
        """A page elsewhere may give its own name our address; then it asks under that name."""
        hosts = self._service.hosts
        host = _split(f"//{headers.get('host', '')}").hostname or ""
        if hosts and host.lower() not in hosts:
            raise Invalid(
                "this service is not reached under that name",
                expected=f"one of {', '.join(hosts)}",
                got=repr(host[:100]),
                hint="Set FILMGATE_HOSTS to the names it has",
            )

    async def _caller(self, request: Request, headers: dict[str, str]) -> Caller | None:
        """Who asks; None where nobody needs to be known. Raises Unauthenticated."""
        address, shown = _address(request), secret_in(headers)
        if shown is not None:
            found = await self._service.doorkeeper.caller(*shown, address)
            if found is not None:
                return found
        elif self._service.door is Door.OPEN and not headers.keys() & FORWARDED:
            return OPEN
        if request["path"] in PUBLIC:
            return None
        self._service.buckets.take(f"stranger {address}")
        raise Unauthenticated(
            "nobody knows who asks",
            expected="Authorization: Bearer TOKEN, or a session",
            got="one that is not good, or not any more" if shown else "neither",
            hint="`filmgate tokens create` makes a token, `filmgate tokens link` a link",
        )

    async def _tell(self, request: Request, status: int, started: float) -> None:
        caller: Caller | None = request["state"].get("caller")
        route = getattr(request.get("route"), "path", None) or "none"
        metrics = self._service.metrics
        metrics.requests.labels(request["method"], route, str(status)).inc()
        metrics.seconds.labels(route).observe(time.perf_counter() - started)
        request_id = request["state"]["request_id"]
        user = caller.user if caller else None
        self._access_log.tell(
            request, status=status, started=started, request_id=request_id, user=user
        )
        noted = request["state"].get("audit")
        is_change = request["method"] not in SAFE and caller is not None
        if noted is None and not is_change:
            return  # strangers could fill the log
        entry = {
            "user": user,
            "token_id": caller.token_id if caller else None,
            "action": f"{request['method']} {route}",
            "target": request["path"][:1000],
            "status": status,
            "request_id": request_id,
            "address": _address(request),
            "details": noted or {},
        }
        try:
            await to_thread.run_sync(self._service.access.note, redact(entry))
        except FilmgateError as error:
            self._log.warning("audit.not_written", entry=redact(entry), error=str(error))


def _headers(request: Request) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in request["headers"]}


def _address(request: Request) -> str:
    client = request.get("client")
    return str(client[0]) if client else "local"


def _split(address: str) -> SplitResult:
    """An address in its parts; Invalid where it is none."""
    try:
        return urlsplit(address)
    except ValueError as error:
        raise Invalid("this is no address", got=repr(address[:100])) from error


def _bucket(request: Request, caller: Caller | None) -> str:
    """Whose requests are counted together."""
    if caller is None or caller.way is Way.OPEN:
        return f"address {_address(request)}"
    return f"user {caller.user}"


def _check_origin(headers: dict[str, str], caller: Caller | None) -> None:
    """Raise NotPermitted where a page of somebody else's may have sent a change.

    A browser says where a request comes from (`Origin`, `Sec-Fetch-Site`), and sends our cookie by
    itself; what it does not send by itself is a token, or a header that only our pages know.
    """
    if caller is not None and caller.way is Way.TOKEN:
        return
    origin = headers.get("origin")
    is_ours = origin is None or _split(origin).netloc == headers.get("host")
    if not is_ours or headers.get("sec-fetch-site", "none") not in {"none", "same-origin"}:
        raise NotPermitted(
            "a page of somebody else's sent this",
            expected="a change from our own pages, or with a token",
            got=f"one from {origin or 'another site'}",
        )
    is_session = caller is not None and caller.way is Way.SESSION
    if is_session and headers.get("x-csrf-token") != (caller.csrf if caller else None):
        raise NotPermitted(
            "the change does not carry what only our pages know",
            expected="the header X-CSRF-Token of the session",
            got="another" if "x-csrf-token" in headers else "none",
            hint="GET /v1/session tells it",
        )
