"""JSON responses with an ETag, and error responses."""

from datetime import timedelta

from fastapi import Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel

from filmgate.core.digest import JsonDict, sha256_hex
from filmgate.core.errors import FilmgateError, RangeUnsatisfiable, Unauthenticated, error_body
from filmgate.wiring.clock import utc_now

RETRY_AFTER = timedelta(seconds=2)
"""Default value of the Retry-After header in a 429 or 503 response."""


def json_response(request: Request, answer: BaseModel, status: int = 200) -> Response:
    """Return an answer as JSON, or 304 without a body if the client of a GET has cached it."""
    body = answer.model_dump_json(by_alias=True).encode()
    tag = f'"{sha256_hex(body)[:32]}"'
    headers = {"etag": tag, "cache-control": "private, no-cache"}
    if request.method == "GET" and is_cached_by_client(request, tag):
        return Response(status_code=304, headers=headers)
    return Response(body, status_code=status, headers=headers, media_type="application/json")


def is_cached_by_client(request: Request, tag: str) -> bool:
    """Whether the request's If-None-Match matches the ETag (RFC 9110, 13.1.2)."""
    header = request.headers.get("if-none-match")
    if header is None:
        return False
    tags = {item.strip().removeprefix("W/") for item in header.split(",")}
    return tag in tags or "*" in tags


def error_response(error: FilmgateError) -> Response:
    """Return an error as an `ErrorBody` with its HTTP status and headers."""
    headers: dict[str, str] = {"cache-control": "no-store"}
    if error.http_status in {429, 503}:
        after = error.extra.get("retry_after_s", RETRY_AFTER.total_seconds())
        headers["retry-after"] = str(int(after))
    if isinstance(error, RangeUnsatisfiable):
        headers["content-range"] = f"bytes */{error.extra['size']}"
    if isinstance(error, Unauthenticated):
        headers["www-authenticate"] = 'Bearer realm="filmgate"'
    return JSONResponse(error_body(error, utc_now()), error.http_status, headers)


def unexpected_error_response(error: Exception) -> Response:
    """Return 500 with only the name of the exception; the log has the traceback by request id."""
    hint = "This is a bug in Filmgate; search the service's log for the X-Request-ID"
    return error_response(FilmgateError(type(error).__name__, hint=hint))


class ErrorBody(BaseModel):
    """The body of every error response."""

    error: str
    """Error code."""
    message: str
    """Text for a person: what is wrong, what was expected, what was received, what to do."""
    details: JsonDict
    """The parts of the message (`expected`, `got`, `hint`) and additional fields of the error."""
    timestamp: str
