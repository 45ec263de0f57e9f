"""Endpoints of sessions, tokens, share tokens and the audit log."""

from datetime import timedelta
from typing import Annotated

from anyio import from_thread
from fastapi import APIRouter, Body, Path, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from filmgate.api.authentication import COOKIE
from filmgate.api.parameters import (
    Admin,
    AssetId,
    Cursor,
    Limit,
    Operator,
    ServiceDep,
    Viewer,
    add_audit_fields,
)
from filmgate.api.responses import json_response
from filmgate.api.service import Service
from filmgate.core.access import AuthMethod, Caller, Scope
from filmgate.core.access_answers import (
    AuditAnswer,
    NewTokenAnswer,
    SessionAnswer,
    SessionsAnswer,
    TokenAnswer,
    TokensAnswer,
    WhoAnswer,
)
from filmgate.core.errors import NotPermitted, UsageError
from filmgate.services.access import (
    MAX_NOTE,
    MAX_SHARE_LIFETIME,
    MAX_TOKEN_LIFETIME,
    SHARE_LIFETIME,
)

router = APIRouter(prefix="/v1", tags=["access"])

MAX_LIFETIME_S = int(MAX_TOKEN_LIFETIME.total_seconds())
"""Longest lifetime of a token that expires, in seconds: ten years."""

MAX_SHARE_LIFETIME_S = int(MAX_SHARE_LIFETIME.total_seconds())
"""Longest lifetime of a share token, in seconds."""


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


class ShareRequest(BaseModel):
    """Request to create a share token of an asset."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"expires_in_s": 604800}]}
    )

    note: Annotated[str, Field(max_length=MAX_NOTE)] = ""
    expires_in_s: Annotated[int, Field(strict=True, ge=1, le=MAX_SHARE_LIFETIME_S)] = int(
        SHARE_LIFETIME.total_seconds()
    )
    """Lifetime in seconds; a share token always expires."""


TokenId = Annotated[str, Path(max_length=64, examples=["a1b2c3d4e5f6"])]


@router.get("/session", response_model=WhoAnswer)
def who_am_i(request: Request, who: Viewer) -> Response:
    """Return the authenticated user."""
    answer = WhoAnswer(
        user=who.user,
        scope=who.scope,
        way=who.auth_method,
        csrf=who.csrf,
        session_id=who.session_id,
    )
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
    secret, session = service.access.begin_session(who, client_address(request))
    add_audit_fields(request, session=session.session_id)
    answer = WhoAnswer(
        user=who.user,
        scope=who.scope,
        way=AuthMethod.SESSION,
        csrf=session.csrf,
        session_id=session.session_id,
    )
    response = json_response(request, answer, 201, has_secret=True)
    set_cookie(request, response, service, secret)
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


@router.get("/sessions", response_model=SessionsAnswer)
def list_sessions(request: Request, service: ServiceDep, who: Viewer) -> Response:
    """List the sessions that have not ended, newest first: all for an admin, else the caller's."""
    return json_response(request, service.access.list_sessions(_visible_user(who)))


@router.delete("/sessions", response_model=SessionsAnswer)
def revoke_sessions(
    request: Request,
    service: ServiceDep,
    who: Viewer,
    user: Annotated[
        str, Query(min_length=1, max_length=64, description="Name of the user.", examples=["lisa"])
    ],
) -> Response:
    """End all sessions of a user at once, and invalidate the user's unused one-time links. Only an
    admin may end the sessions of another user. The response lists the sessions that were ended."""
    if _visible_user(who) not in {None, user}:
        raise NotPermitted(
            "the sessions belong to another user",
            expected=f"user {who.user}, or a request of an admin",
            got=f"user {user}",
        )
    ended = service.access.revoke_sessions_of(user)
    _forget_callers(service)
    add_audit_fields(
        request, user=user, sessions=[session.session_id for session in ended.sessions]
    )
    return json_response(request, ended)


@router.delete("/sessions/{session_id}", response_model=SessionAnswer)
def revoke_session(
    request: Request,
    service: ServiceDep,
    who: Viewer,
    session_id: Annotated[str, Path(max_length=64, examples=["s1b2c3d4e5f6"])],
) -> Response:
    """End a session at once. Sessions of other users exist for an admin only."""
    ended = service.access.revoke_session(session_id, _visible_user(who))
    _forget_callers(service)
    add_audit_fields(request, session=ended.session_id, user=ended.user)
    return json_response(request, ended)


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
    token_id: TokenId,
) -> Response:
    """Revoke a token and its sessions at once."""
    with service.access.store() as stored:
        revoked = stored.revoke(token_id)
    _forget_callers(service)
    return json_response(request, revoked)


@router.get("/videos/{asset_id}/shares", response_model=TokensAnswer)
def list_shares(
    request: Request, service: ServiceDep, _who: Operator, asset_id: AssetId
) -> Response:
    """List the share tokens of a video, without their secrets."""
    with service.access.store() as stored:
        return json_response(request, stored.shares(asset_id))


@router.post("/videos/{asset_id}/shares", response_model=NewTokenAnswer, status_code=201)
def create_share(
    request: Request,
    service: ServiceDep,
    who: Operator,
    asset_id: AssetId,
    body: Annotated[ShareRequest, Body(default_factory=ShareRequest)],
) -> Response:
    """Create a share token: it may only read this video, and expires. Only this response contains
    its secret."""
    service.videos.get(asset_id)
    lifetime = timedelta(seconds=body.expires_in_s)
    token = service.access.create_share(asset_id, who.user, body.note, lifetime)
    add_audit_fields(request, token_id=token.token_id, asset_id=asset_id)
    return json_response(request, token, 201, has_secret=True)


@router.delete("/videos/{asset_id}/shares/{token_id}", response_model=TokenAnswer)
def revoke_share(
    request: Request, service: ServiceDep, _who: Operator, asset_id: AssetId, token_id: TokenId
) -> Response:
    """Revoke a share token of a video at once."""
    with service.access.store() as stored:
        revoked = stored.revoke_share(asset_id, token_id)
    _forget_callers(service)
    add_audit_fields(request, token_id=revoked.token_id, asset_id=asset_id)
    return json_response(request, revoked)


@router.get("/audit", response_model=AuditAnswer)
def audit(
    request: Request, service: ServiceDep, _who: Admin, limit: Limit = 100, cursor: Cursor = None
) -> Response:
    """List changes and attempted changes with their users, the latest first."""
    with service.access.store() as stored:
        return json_response(request, stored.audit_entries(limit, cursor))


def _visible_user(who: Caller) -> str | None:
    """Return the user whose sessions the caller may see and end; None for all users."""
    return None if who.scope is Scope.ADMIN else who.user


def client_address(request: Request) -> str | None:
    """Return the address of the client; None if it is unknown."""
    return request.client.host if request.client is not None else None


def _forget_callers(service: Service) -> None:
    """Clear the cache of this server before the response; other servers are notified."""
    from_thread.run_sync(service.authenticator.clear_cache)


def set_cookie(request: Request, response: Response, service: Service, secret: str) -> None:
    """Set the session cookie; scripts cannot read it, and it is not sent from other sites."""
    response.set_cookie(
        COOKIE,
        secret,
        max_age=int(service.settings.session_lifetime.total_seconds()),
        path="/",
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
