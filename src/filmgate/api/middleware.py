"""Middleware that checks each request and records each response.

The checks are, in this sequence: Host header, authentication and rate limit; whether a share token
permits the request; for a change, also its origin and the size of its body. Every authenticated
caller without a share token may read; endpoints that change data check the scope of the caller.
Each response gets security headers and is recorded in the access log and the metrics; a change is
also recorded in the audit log.
"""

import time
from urllib.parse import SplitResult, urlsplit

import structlog
from anyio import to_thread
from starlette.types import ASGIApp, Message, Receive, Send
from starlette.types import Scope as ASGIScope
from structlog.typing import FilteringBoundLogger

from filmgate.api import limits
from filmgate.api.authentication import secret_in
from filmgate.api.responses import error_response, unexpected_error_response
from filmgate.api.service import AuthMode, Service
from filmgate.api.telemetry import AccessLog, Spans, request_id_of
from filmgate.core.access import AuthMethod, Caller, Scope
from filmgate.core.errors import (
    FilmgateError,
    Invalid,
    NotPermitted,
    Unauthenticated,
    UnsupportedMedia,
)
from filmgate.core.redaction import redact

PUBLIC_PATHS = frozenset({"/healthz", "/readyz", "/enter", "/", "/favicon.ico"})
"""Paths that need no authentication."""

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
UPLOAD_PATHS = frozenset({"/v1/videos"})
"""Paths whose request bodies are streamed, not buffered; a separate limit applies to them."""

SINGLE_USE_PATHS = frozenset({"/enter"})
"""Paths of one-time links, which a GET request uses up. They do not support HEAD, so that a program
that checks a link does not use it up."""

PROXY_HEADERS = frozenset({"forwarded", "x-forwarded-for", "x-real-ip", "via"})
"""Headers that proxies add; a request with one may come from another machine."""

LOCAL_CALLER = Caller(user="local", scope=Scope.ADMIN, auth_method=AuthMethod.OPEN)
"""The caller of a request without authentication under `--no-auth`."""

HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"x-frame-options": b"DENY",
    b"cross-origin-resource-policy": b"same-origin",
    b"content-security-policy": b"default-src 'none'; style-src 'unsafe-inline'; "
    b"frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
}


class RequestMiddleware:
    """Checks and records every request as the module's docstring describes."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._service = service
        self._access_log = AccessLog()
        self._spans = Spans(is_on="opentelemetry" in service.settings.export)
        self._log: FilteringBoundLogger = structlog.get_logger()

    async def __call__(self, scope: ASGIScope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        request_id = request_id_of(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        is_head = scope["method"] == "HEAD" and scope["path"] not in SINGLE_USE_PATHS
        if is_head:  # handled as GET; the body is dropped
            scope = {**scope, "method": "GET"}
            scope["state"]["is_head"] = True
        status, has_started = 500, False

        async def send_with_headers(message: Message) -> None:
            nonlocal status, has_started
            if message["type"] == "http.response.start":
                status, has_started = message["status"], True
                present = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [
                    *message["headers"],
                    (b"x-request-id", request_id.encode()),
                    *((name, value) for name, value in HEADERS.items() if name not in present),
                ]
            elif is_head:
                message = {**message, "body": b""}
            await send(message)

        try:
            with self._spans.span(scope):
                await self._check_and_forward(scope, receive, send_with_headers)
        except Exception as error:
            if has_started:
                raise
            self._log.exception("request.fault", request_id=request_id)
            await unexpected_error_response(error, scope)(scope, receive, send_with_headers)
        finally:
            await self._record(scope, status, started)

    async def _check_and_forward(self, scope: ASGIScope, receive: Receive, send: Send) -> None:
        """Check a request, then call the application, or send the error."""
        try:
            headers = _headers(scope)
            self._check_host(scope, headers)
            caller = await self._authenticate(scope, headers)
            scope["state"]["caller"] = caller
            self._service.buckets.take(_bucket_key(scope, caller))
            if caller is not None and scope["path"] not in PUBLIC_PATHS:
                caller.require_shared(scope["method"], scope["path"])
            if scope["method"] not in SAFE_METHODS:
                _check_origin(headers, caller)
                _check_content_encoding(scope)
                if scope["path"] not in UPLOAD_PATHS:
                    receive = await limits.buffer_body(scope, receive)
        except FilmgateError as error:
            await error_response(error, scope)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _check_host(self, scope: ASGIScope, headers: dict[str, str]) -> None:
        """Raise Invalid if the Host header is not a name of this service.

        This prevents DNS rebinding: a page of another site whose host name resolves to the address
        of this service sends that host name in the Host header. A repeated header is refused (RFC
        9112, 3.2), because a proxy may use the first and this server the last.
        """
        if sum(name == b"host" for name, _ in scope["headers"]) > 1:
            raise Invalid("the Host header is repeated", expected="one Host header")
        hosts = self._service.hosts
        host = _split_url(f"//{headers.get('host', '')}").hostname or ""
        if hosts and host.lower() not in hosts:
            raise Invalid(
                "the host name is not one of this service",
                expected=f"one of {', '.join(hosts)}",
                got=repr(host[:100]),
                hint="Add the service's names to FILMGATE_HOSTS",
            )

    async def _authenticate(self, scope: ASGIScope, headers: dict[str, str]) -> Caller | None:
        """Return the caller; None for an unauthenticated request to a public path.

        Raises Unauthenticated for other unauthenticated requests, TooMany after too many failures.
        """
        address, secret = _client_address(scope), secret_in(headers)
        if secret is not None:
            found = await self._service.authenticator.find_caller(*secret, address)
            if found is not None:
                return found
        elif self._service.auth_mode is AuthMode.OPEN and not headers.keys() & PROXY_HEADERS:
            return LOCAL_CALLER
        if scope["path"] in PUBLIC_PATHS:
            return None
        self._service.buckets.take(f"unauthenticated {address}")
        raise Unauthenticated(
            "authentication required",
            expected="Authorization: Bearer TOKEN, or a session",
            got="an invalid or expired one" if secret else "neither",
            hint="Create a token with `filmgate tokens create`, or a link with "
            "`filmgate tokens link`",
        )

    async def _record(self, scope: ASGIScope, status: int, started: float) -> None:
        """Record a response in the metrics, the access log and, for a change, the audit log."""
        caller: Caller | None = scope["state"].get("caller")
        route = getattr(scope.get("route"), "path_format", None) or "none"
        metrics = self._service.metrics
        metrics.requests.labels(scope["method"], route, str(status)).inc()
        metrics.seconds.labels(route).observe(time.perf_counter() - started)
        request_id = scope["state"]["request_id"]
        user = caller.user if caller else None
        self._access_log.write(
            scope, status=status, started=started, request_id=request_id, user=user
        )
        audit_fields = scope["state"].get("audit")
        is_change = scope["method"] not in SAFE_METHODS and caller is not None
        if audit_fields is None and not is_change:
            return  # unauthenticated requests are left out, because they could fill the audit log
        entry = {
            "user": user,
            "token_id": caller.token_id if caller else None,
            "action": f"{scope['method']} {route}",
            "target": scope["path"][:1000],
            "status": status,
            "request_id": request_id,
            "address": _client_address(scope),
            "details": audit_fields or {},
        }
        try:
            await to_thread.run_sync(self._service.access.record_change, redact(entry))
        except FilmgateError as error:
            self._log.warning("audit.not_written", entry=redact(entry), error=str(error))


def _headers(scope: ASGIScope) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


def _client_address(scope: ASGIScope) -> str:
    client = scope.get("client")
    return str(client[0]) if client else "local"


def _split_url(url: str) -> SplitResult:
    """Split a URL into its parts; raises Invalid if it is malformed."""
    try:
        return urlsplit(url)
    except ValueError as error:
        raise Invalid("the Host or Origin header is invalid", got=repr(url[:100])) from error


def _check_content_encoding(scope: ASGIScope) -> None:
    """Raise UnsupportedMedia for a compressed body, which could be far larger than its limit."""
    for name, value in scope["headers"]:
        if name == b"content-encoding" and value.strip().lower() not in {b"", b"identity"}:
            raise UnsupportedMedia(
                "compressed request bodies are not supported",
                expected="a body without Content-Encoding",
                got=repr(value[:80].decode("latin-1")),
                accept_encoding="identity",
            )


def _bucket_key(scope: ASGIScope, caller: Caller | None) -> str:
    """Return the key under which a request is counted: its user, or else its client address."""
    if caller is None or caller.auth_method is AuthMethod.OPEN:
        return f"address {_client_address(scope)}"
    return f"user {caller.user}"


def _check_origin(headers: dict[str, str], caller: Caller | None) -> None:
    """Raise NotPermitted if a page of another site may have sent this change (CSRF).

    A browser states the origin of a request (`Origin`, `Sec-Fetch-Site`) and attaches the session
    cookie automatically. It does not automatically attach a bearer token or the CSRF header, whose
    value only pages of this service know.
    """
    if caller is not None and caller.auth_method is AuthMethod.TOKEN:
        return
    origin = headers.get("origin")
    is_ours = origin is None or _split_url(origin).netloc == headers.get("host")
    if not is_ours or headers.get("sec-fetch-site", "none") not in {"none", "same-origin"}:
        raise NotPermitted(
            "changes from pages of another site are not permitted",
            expected="a change from a page of this service, or with a token",
            got=f"one from {origin or 'another site'}",
        )
    is_session = caller is not None and caller.auth_method is AuthMethod.SESSION
    if is_session and headers.get("x-csrf-token") != (caller.csrf if caller else None):
        raise NotPermitted(
            "the CSRF token is missing or does not match",
            expected="the header X-CSRF-Token of the session",
            got="another" if "x-csrf-token" in headers else "none",
            hint="Get it from /v1/session",
        )
