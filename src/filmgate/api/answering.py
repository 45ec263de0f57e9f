"""Answers as responses: JSON with a tag that says whether it is still the same."""

from datetime import timedelta
from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel

from filmgate.app.clock import utc_now
from filmgate.core.digest import sha256_hex
from filmgate.core.errors import FilmgateError, RangeUnsatisfiable, Unauthenticated, error_body

RETRY_AFTER = timedelta(seconds=2)
"""When a service that is away may be back."""


def answered(request: Request, answer: BaseModel, status: int = 200) -> Response:
    """An answer; 304 without a body where the asker has it already."""
    body = answer.model_dump_json(by_alias=True).encode()
    tag = f'"{sha256_hex(body)[:32]}"'
    headers = {"etag": tag, "cache-control": "private, no-cache"}
    if request.method == "GET" and is_known(request, tag):
        return Response(status_code=304, headers=headers)
    return Response(body, status_code=status, headers=headers, media_type="application/json")


def is_known(request: Request, tag: str) -> bool:
    """Whether the asker has what goes by the tag (RFC 9110, 13.1.2)."""
    known = request.headers.get("if-none-match")
    if known is None:
        return False
    tags = {each.strip().removeprefix("W/") for each in known.split(",")}
    return tag in tags or "*" in tags


def refused(error: FilmgateError) -> Response:
    """An error in the one shape that errors have."""
    headers: dict[str, str] = {"cache-control": "no-store"}
    if error.http_status in {429, 503}:
        after = error.extra.get("retry_after_s", RETRY_AFTER.total_seconds())
        headers["retry-after"] = str(int(after))
    if isinstance(error, RangeUnsatisfiable):
        headers["content-range"] = f"bytes */{error.extra['size']}"
    if isinstance(error, Unauthenticated):
        headers["www-authenticate"] = 'Bearer realm="filmgate"'
    return JSONResponse(error_body(error, utc_now()), error.http_status, headers)


def fault(error: Exception) -> Response:
    """What nobody foresaw; the log has the whole of it, by the request's id."""
    hint = "This is a fault of Filmgate; its log tells more, by the request's id"
    return refused(FilmgateError(type(error).__name__, hint=hint))


class ErrorBody(BaseModel):
    """What every error looks like."""

    error: str
    """A word for its kind."""
    message: str
    """For a person: what is wrong, what was expected, what came, what to do."""
    details: dict[str, Any]
    """The same in parts: `expected`, `got`, `hint`, and what belongs to the error."""
    timestamp: str
