"""Who asks, who may, and what was changed."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from filmgate.api.answering import answered
from filmgate.api.doorkeeper import COOKIE
from filmgate.api.parameters import Admin, Cursor, Limit, Serving, Viewer, noted
from filmgate.app.access import SESSION_LASTS
from filmgate.core.access import Scope, Way
from filmgate.core.access_answers import (
    AuditAnswer,
    NewTokenAnswer,
    TokenAnswer,
    TokensAnswer,
    WhoAnswer,
)
from filmgate.core.errors import UsageError

router = APIRouter(prefix="/v1", tags=["access"])

LONGEST_S = 10 * 365 * 24 * 3600


class TokenRequest(BaseModel):
    """A token that is to be made."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"user": "lisa", "scope": "operator", "expires_in_s": 7776000}]
        },
    )

    user: Annotated[str, Field(min_length=1, max_length=64)]
    scope: Scope = Scope.VIEWER
    note: Annotated[str, Field(max_length=200)] = ""
    expires_in_s: Annotated[int, Field(ge=1, le=LONGEST_S)] | None = 90 * 24 * 3600
    """Null: never."""


@router.get("/session", response_model=WhoAnswer)
def who_am_i(request: Request, who: Viewer) -> Response:
    """Who asks, as the service knows them."""
    return answered(request, WhoAnswer(user=who.user, scope=who.scope, way=who.way, csrf=who.csrf))


@router.post("/session", response_model=WhoAnswer, status_code=201)
def begin_session(request: Request, service: Serving, who: Viewer) -> Response:
    """Begin a session for pages: a cookie in place of the token."""
    if who.way is not Way.TOKEN:
        raise UsageError("a session begins with a token", got=f"a {who.way.value}")
    secret, csrf = service.access.begin_session(who)
    answer = WhoAnswer(user=who.user, scope=who.scope, way=Way.SESSION, csrf=csrf)
    response = answered(request, answer, 201)
    set_cookie(request, response, secret)
    return response


@router.delete("/session", status_code=204)
def end_session(request: Request, service: Serving) -> Response:
    """Leave: the session of the cookie is over."""
    if (secret := request.cookies.get(COOKIE)) is not None:
        service.access.end_session(secret)
    response = Response(status_code=204)
    response.delete_cookie(COOKIE, path="/")
    return response


@router.get("/tokens", response_model=TokensAnswer)
def list_tokens(request: Request, service: Serving, _who: Admin) -> Response:
    """All tokens, without their secrets."""
    return answered(request, service.access.tokens())


@router.post("/tokens", response_model=NewTokenAnswer, status_code=201)
def create_token(request: Request, service: Serving, _who: Admin, asked: TokenRequest) -> Response:
    """Make a token. This answer is the only one that has it."""
    lasts = timedelta(seconds=asked.expires_in_s) if asked.expires_in_s is not None else None
    made = service.access.create(asked.user, asked.scope, asked.note, lasts)
    noted(request, token_id=made.token_id, user=made.user, scope=made.scope.value)
    response = answered(request, made, 201)
    response.headers["cache-control"] = "no-store"
    return response


@router.delete("/tokens/{token_id}", response_model=TokenAnswer)
def revoke_token(
    request: Request,
    service: Serving,
    _who: Admin,
    token_id: Annotated[str, Path(max_length=64, examples=["a1b2c3d4e5f6"])],
) -> Response:
    """End a token at once."""
    return answered(request, service.access.revoke(token_id))


@router.get("/audit", response_model=AuditAnswer)
def audit(
    request: Request, service: Serving, _who: Admin, limit: Limit = 100, cursor: Cursor = None
) -> Response:
    """What was changed, or was to be, and by whom; the latest first."""
    return answered(request, service.access.audited(limit, cursor))


def set_cookie(request: Request, response: Response, secret: str) -> None:
    """Give a browser its session; no script and no other site gets it."""
    response.set_cookie(
        COOKIE,
        secret,
        max_age=int(SESSION_LASTS.total_seconds()),
        path="/",
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
