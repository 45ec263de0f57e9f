"""Endpoints of sessions, tokens and the audit log."""

from datetime import timedelta
from typing import Annotated

from anyio import from_thread
from fastapi import APIRouter, Path, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from filmgate.api.authentication import COOKIE
from filmgate.api.parameters import Admin, Cursor, Limit, ServiceDep, Viewer, add_audit_fields
from filmgate.api.responses import json_response
from filmgate.api.service import Service
from filmgate.core.access import AuthMethod, Scope
from filmgate.core.access_answers import (
    AuditAnswer,
    NewTokenAnswer,
    TokenAnswer,
    TokensAnswer,
    WhoAnswer,
)
from filmgate.core.errors import UsageError
from filmgate.services.access import MAX_NOTE, MAX_TOKEN_LIFETIME, SESSION_LIFETIME

router = APIRouter(prefix="/v1", tags=["access"])

MAX_LIFETIME_S = int(MAX_TOKEN_LIFETIME.total_seconds())
"""Longest lifetime of a token that expires, in seconds: ten years."""


class TokenRequest(BaseModel):
    """Request to create a token."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"user": "lisa", "scope": "operator", "expires_in_s": 7776000}]
        },
    )

    user: Annotated[str, Field(min_length=1, max_length=64)]
    scope: Scope = Scope.VIEWER
    note: Annotated[str, Field(max_length=MAX_NOTE)] = ""
    expires_in_s: Annotated[int, Field(strict=True, ge=1, le=MAX_LIFETIME_S)] | None = (
        90 * 24 * 3600
    )
    """Lifetime in seconds; null: the token does not expire."""


@router.get("/session", response_model=WhoAnswer)
def who_am_i(request: Request, who: Viewer) -> Response:
    """Return the authenticated user."""
    answer = WhoAnswer(user=who.user, scope=who.scope, way=who.auth_method, csrf=who.csrf)
    return json_response(request, answer, has_secret=True)


@router.post("/session", response_model=WhoAnswer, status_code=201)
def begin_session(request: Request, service: ServiceDep, who: Viewer) -> Response:
    """Start a browser session: exchange a token for a cookie."""
    if who.auth_method is not AuthMethod.TOKEN:
        raise UsageError(
            "a session can only be started with a token",
            expected="Authorization: Bearer TOKEN",
            got=f"authentication by {who.auth_method.value}",
        )
    secret, csrf = service.access.begin_session(who)
    answer = WhoAnswer(user=who.user, scope=who.scope, way=AuthMethod.SESSION, csrf=csrf)
    response = json_response(request, answer, 201, has_secret=True)
    set_cookie(request, response, secret)
    return response


@router.delete("/session", status_code=204)
def end_session(request: Request, service: ServiceDep) -> Response:
    """End the session of the cookie."""
    if (secret := request.cookies.get(COOKIE)) is not None:
        service.access.end_session(secret)
        _forget_callers(service)
    response = Response(status_code=204)
    response.delete_cookie(COOKIE, path="/")
    return response


@router.get("/tokens", response_model=TokensAnswer)
def list_tokens(request: Request, service: ServiceDep, _who: Admin) -> Response:
    """List all tokens, without their secrets."""
    with service.access.store() as stored:
        return json_response(request, stored.tokens())


@router.post("/tokens", response_model=NewTokenAnswer, status_code=201)
def create_token(
    request: Request, service: ServiceDep, _who: Admin, body: TokenRequest
) -> Response:
    """Create a token. Only this response contains its secret."""
    lifetime = timedelta(seconds=body.expires_in_s) if body.expires_in_s is not None else None
    token = service.access.create_token(body.user, body.scope, body.note, lifetime)
    add_audit_fields(request, token_id=token.token_id, user=token.user, scope=token.scope.value)
    return json_response(request, token, 201, has_secret=True)


@router.delete("/tokens/{token_id}", response_model=TokenAnswer)
def revoke_token(
    request: Request,
    service: ServiceDep,
    _who: Admin,
    token_id: Annotated[str, Path(max_length=64, examples=["a1b2c3d4e5f6"])],
) -> Response:
    """Revoke a token and its sessions at once."""
    with service.access.store() as stored:
        revoked = stored.revoke(token_id)
    _forget_callers(service)
    return json_response(request, revoked)


@router.get("/audit", response_model=AuditAnswer)
def audit(
    request: Request, service: ServiceDep, _who: Admin, limit: Limit = 100, cursor: Cursor = None
) -> Response:
    """List changes and attempted changes with their users, the latest first."""
    with service.access.store() as stored:
        return json_response(request, stored.audit_entries(limit, cursor))


def _forget_callers(service: Service) -> None:
    """Clear the cache of this server before the response; other servers are notified."""
    from_thread.run_sync(service.authenticator.clear_cache)


def set_cookie(request: Request, response: Response, secret: str) -> None:
    """Set the session cookie; scripts cannot read it, and it is not sent from other sites."""
    response.set_cookie(
        COOKIE,
        secret,
        max_age=int(SESSION_LIFETIME.total_seconds()),
        path="/",
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
