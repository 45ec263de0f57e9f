"""Endpoints for browsers: one-time links, the start page, and a page that lists all endpoints."""

import json
from datetime import timedelta
from html import escape
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from filmgate.api.pages import SIGN_IN, page
from filmgate.api.parameters import ServiceDep, add_audit_fields
from filmgate.api.responses import encoded_response, json_response
from filmgate.api.routes.access import client_address, set_cookie
from filmgate.api.service import Service
from filmgate.core.access import Caller
from filmgate.core.access_answers import NewTokenAnswer

router = APIRouter(tags=["login"])

TOKEN_LIFETIME = timedelta(days=1)
Code = Annotated[str, Query(min_length=1, max_length=100, description="Code of a one-time link.")]


@router.get("/enter", response_class=RedirectResponse, status_code=303)
def enter(request: Request, service: ServiceDep, code: Code) -> Response:
    """Start a browser session with a one-time link."""
    caller = _redeem_link(request, service, code)
    secret, session = service.access.begin_session(caller, client_address(request))
    add_audit_fields(
        request, user=caller.user, scope=caller.scope.value, session=session.session_id
    )
    response = RedirectResponse("/", status_code=303, headers={"cache-control": "no-store"})
    set_cookie(request, response, service, secret)
    return response


@router.post("/enter", response_model=NewTokenAnswer, status_code=201)
def enter_with_token(request: Request, service: ServiceDep, code: Code) -> Response:
    """Create a token with a one-time link, without a browser; the token is valid for a day."""
    caller = _redeem_link(request, service, code)
    note = "from a one-time link"
    token = service.access.create_token(caller.user, caller.scope, note, TOKEN_LIFETIME)
    return json_response(request, token, 201, has_secret=True)


@router.get("/", response_class=HTMLResponse)
def first_page(request: Request) -> HTMLResponse:
    """Return the start page, which shows the signed-in user or how to sign in."""
    who: Caller | None = request.state.caller
    if who is None:
        body = SIGN_IN
    else:
        body = (
            f"<p>You are signed in as <b>{escape(who.user)}</b> ({who.scope.value}).</p>"
            '<p><a href="/docs">HTTP API</a> · '
            '<a href="/openapi.json">OpenAPI description</a> · '
            '<a href="/v1/videos">videos</a> · <a href="/jobs">jobs</a></p>'
        )
    motto = "Nobody moves on until the gate is checked."
    return page("Filmgate", f"<p><i>{motto}</i> Filmgate does that for media.</p>{body}")


@router.get("/docs", response_class=HTMLResponse)
def reference(request: Request) -> HTMLResponse:
    """Return a page that lists all endpoints."""
    groups: dict[str, list[str]] = {}
    for path, operations in request.app.openapi()["paths"].items():
        for method, operation in operations.items():
            parameters = operation.get("parameters", [])
            names = [parameter["name"] for parameter in parameters if parameter["in"] == "query"]
            description = operation.get("description") or operation.get("summary", "")
            query = f"<br><code>?{escape(' & '.join(names))}</code>" if names else ""
            groups.setdefault(operation["tags"][0], []).append(
                f'<tr><td class="method">{method}</td><td><code>{escape(path)}</code>{query}</td>'
                f"<td>{escape(description)}</td></tr>"
            )
    tables = "".join(
        f"<h2>{escape(name)}</h2><table>{''.join(rows)}</table>" for name, rows in groups.items()
    )
    return page("HTTP API", tables)


@router.get("/openapi.json", include_in_schema=False)
def openapi(request: Request) -> Response:
    """Return the OpenAPI description."""
    return encoded_response(request, json.dumps(request.app.openapi()).encode())


@router.get("/favicon.ico", status_code=204, include_in_schema=False)
def favicon() -> Response:
    """Return no content: the service has no icon."""
    return Response(status_code=204)


def _redeem_link(request: Request, service: Service, code: str) -> Caller:
    """Use up a link and return its caller; the audit log records the use."""
    caller = service.access.redeem_link(code)
    request.state.caller = caller
    add_audit_fields(request, user=caller.user, scope=caller.scope.value)
    return caller
