"""JSON responses with an ETag and compression, and error responses."""

import zlib
from datetime import timedelta

from fastapi import Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel
from starlette.types import Scope as ASGIScope

from filmgate.api.negotiation import accepts_gzip, wants_page
from filmgate.api.pages import error_page
from filmgate.core.digest import JsonDict, sha256_hex
from filmgate.core.errors import FilmgateError, RangeUnsatisfiable, Unauthenticated, error_body
from filmgate.wiring.clock import utc_now

RETRY_AFTER = timedelta(seconds=2)
"""Default value of the Retry-After header in a 429 or 503 response."""

GZIP_FROM_BYTES = 1024
"""Size from which a JSON document is compressed, in bytes. A smaller one fits in one packet."""

GZIP_LEVEL = 1
"""Level of compression (docs/explanation/benchmarks.md)."""

GZIP_FORMAT = 31
"""Parameter `wbits` of zlib for the gzip format, whose header then has no time: equal documents
have equal bytes."""


def json_response(
    request: Request, answer: BaseModel, status: int = 200, *, has_secret: bool = False
) -> Response:
    """Return an answer as JSON, or 304 without a body if the client of a GET has cached it.

    `has_secret`: whether the answer contains a token or a CSRF token. Such an answer is not cached,
    and not compressed, because the size of compressed text reveals which parts of it are equal
    (BREACH).
    """
    body = answer.model_dump_json(by_alias=True).encode()
    if has_secret:
        headers = {"cache-control": "no-store"}
        return Response(body, status_code=status, headers=headers, media_type="application/json")
    return encoded_response(request, body, status)


def encoded_response(request: Request, body: bytes, status: int = 200) -> Response:
    """Return a JSON document with an ETag, compressed if it is large and the client accepts gzip;
    304 without a body if the client of a GET has cached it.

    The plain and the compressed document have different tags, because their bytes differ.
    """
    digest = sha256_hex(body)[:32]
    plain, compressed = f'"{digest}"', f'"{digest}-gzip"'
    accepted = request.headers.get("accept-encoding", "")
    is_compressed = len(body) >= GZIP_FROM_BYTES and accepts_gzip(accepted)
    headers = {
        "etag": compressed if is_compressed else plain,
        "cache-control": "private, no-cache",
        "vary": "accept-encoding",
    }
    if request.method == "GET" and is_cached_by_client(request, plain, compressed):
        return Response(status_code=304, headers=headers)
    if is_compressed:
        headers["content-encoding"] = "gzip"
        body = zlib.compress(body, GZIP_LEVEL, GZIP_FORMAT)
    return Response(body, status_code=status, headers=headers, media_type="application/json")


def is_cached_by_client(request: Request, *tags: str) -> bool:
    """Whether the request's If-None-Match matches one of the ETags (RFC 9110, 13.1.2)."""
    header = request.headers.get("if-none-match")
    if header is None:
        return False
    cached = {item.strip().removeprefix("W/") for item in header.split(",")}
    return "*" in cached or not cached.isdisjoint(tags)


def error_response(error: FilmgateError, scope: ASGIScope) -> Response:
    """Return an error as an `ErrorBody` with its HTTP status and headers, or as a page if a browser
    asks for one. `scope`: the request."""
    if wants_page(scope):
        response: Response = error_page(error, scope["path"])
    else:
        headers = {"cache-control": "no-store"}
        response = JSONResponse(error_body(error, utc_now()), error.http_status, headers)
    response.headers["vary"] = "accept"
    if error.http_status in {429, 503}:
        after = error.extra.get("retry_after_s", RETRY_AFTER.total_seconds())
        response.headers["retry-after"] = str(int(after))
    if isinstance(error, RangeUnsatisfiable):
        response.headers["content-range"] = f"bytes */{error.extra['size']}"
    if isinstance(error, Unauthenticated):
        response.headers["www-authenticate"] = 'Bearer realm="filmgate"'
    if "accept_encoding" in error.extra:
        response.headers["accept-encoding"] = error.extra["accept_encoding"]
    return response


def unexpected_error_response(error: Exception, scope: ASGIScope) -> Response:
    """Return 500 with only the name of the exception; the log has the traceback by request id."""
    hint = "This is a bug in Filmgate; search the service's log for the X-Request-ID"
    return error_response(FilmgateError(type(error).__name__, hint=hint), scope)


class ErrorBody(BaseModel):
    """The body of every error response."""

    error: str
    """Error code."""
    message: str
    """Text for a person: what is wrong, what was expected, what was received, what to do."""
    details: JsonDict
    """The parts of the message (`expected`, `got`, `hint`) and additional fields of the error."""
    timestamp: str
