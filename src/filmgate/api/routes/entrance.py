"""The way in: one-time links, the first page, and the list of endpoints as a page."""

from datetime import timedelta
from html import escape
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from filmgate.api.answering import answered
from filmgate.api.parameters import Serving, noted
from filmgate.api.routes.access import set_cookie
from filmgate.api.service import Service
from filmgate.core.access import Caller
from filmgate.core.access_answers import NewTokenAnswer

router = APIRouter(tags=["entrance"])

DAY = timedelta(days=1)
Code = Annotated[str, Query(min_length=1, max_length=100, description="Of a one-time link.")]
STYLE = """body{font:16px/1.5 system-ui,sans-serif;max-width:56rem;margin:3rem auto;padding:0 1rem;
color:#1d2327;background:#fcfcfa}h1{font-weight:600}code{font:14px ui-monospace,monospace}
td{padding:.25rem 1rem .25rem 0;vertical-align:top}h2{margin-top:2rem;font-size:1.1rem}
.method{color:#666;font-variant:small-caps}a{color:#0a5ea8}
@media(prefers-color-scheme:dark){body{color:#ddd;background:#16181a}a{color:#7db8ea}}"""


@router.get("/enter", response_class=RedirectResponse, status_code=303)
def enter(request: Request, service: Serving, code: Code) -> Response:
    """Use a one-time link in a browser: begins a session."""
    caller = _entered(request, service, code)
    secret, _ = service.access.begin_session(caller)
    response = RedirectResponse("/", status_code=303, headers={"cache-control": "no-store"})
    set_cookie(request, response, secret)
    return response


@router.post("/enter", response_model=NewTokenAnswer, status_code=201)
def enter_with_token(request: Request, service: Serving, code: Code) -> Response:
    """Use a one-time link without a browser: gives a token that is good for a day."""
    caller = _entered(request, service, code)
    made = service.access.create(caller.user, caller.scope, "of a one-time link", DAY)
    response = answered(request, made, 201)
    response.headers["cache-control"] = "no-store"
    return response


@router.get("/", response_class=HTMLResponse)
def first_page(request: Request) -> HTMLResponse:
    """Where one is, and where to go on."""
    who: Caller | None = request.state.caller
    if who is None:
        told = (
            "<p>Nobody knows who you are. Ask whoever runs this for a link, or make one:</p>"
            "<p><code>filmgate tokens link</code></p>"
        )
    else:
        told = (
            f"<p>You are <b>{escape(who.user)}</b> ({who.scope.value}).</p>"
            '<p><a href="/docs">What can be asked here</a> · '
            '<a href="/openapi.json">the same for programs</a> · '
            '<a href="/v1/videos">videos</a> · <a href="/jobs">jobs</a></p>'
        )
    return _page("Filmgate", f"<p><i>Nobody moves on until the gate is checked.</i></p>{told}")


@router.get("/docs", response_class=HTMLResponse)
def reference(request: Request) -> HTMLResponse:
    """Every endpoint, in a list."""
    groups: dict[str, list[str]] = {}
    for path, operations in request.app.openapi()["paths"].items():
        for method, told in operations.items():
            names = [each["name"] for each in told.get("parameters", []) if each["in"] == "query"]
            about = told.get("description") or told.get("summary", "")
            asks = f"<br><code>?{escape(' & '.join(names))}</code>" if names else ""
            groups.setdefault(told["tags"][0], []).append(
                f'<tr><td class="method">{method}</td><td><code>{escape(path)}</code>{asks}</td>'
                f"<td>{escape(about)}</td></tr>"
            )
    tables = "".join(
        f"<h2>{escape(name)}</h2><table>{''.join(rows)}</table>" for name, rows in groups.items()
    )
    return _page("What can be asked", tables)


@router.get("/favicon.ico", status_code=204, include_in_schema=False)
def favicon() -> Response:
    """There is none."""
    return Response(status_code=204)


def _entered(request: Request, service: Service, code: str) -> Caller:
    """Who a link lets in; the audit log hears of it."""
    caller = service.access.enter(code)
    request.state.caller = caller
    noted(request, user=caller.user, scope=caller.scope.value)
    return caller


def _page(title: str, body: str) -> HTMLResponse:
    text = (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{STYLE}</style>"
        f"<h1>{escape(title)}</h1>{body}</html>"
    )
    return HTMLResponse(text, headers={"cache-control": "no-store"})
