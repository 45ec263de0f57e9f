"""HTML pages for browsers: plain text and links, without scripts."""

from base64 import b64encode
from hashlib import sha256
from html import escape
from http import HTTPStatus

from fastapi.responses import HTMLResponse

from filmgate.core.errors import FilmgateError

STYLE = """body{font:16px/1.5 system-ui,sans-serif;max-width:56rem;margin:3rem auto;padding:0 1rem;
color:#1d2327;background:#fcfcfa}h1{font-weight:600}code{font:14px ui-monospace,monospace}
td{padding:.25rem 1rem .25rem 0;vertical-align:top}h2{margin-top:2rem;font-size:1.1rem}
.method{color:#666;font-variant:small-caps}a{color:#0a5ea8}
@media(prefers-color-scheme:dark){body{color:#ddd;background:#16181a}a{color:#7db8ea}}"""

_STYLE_DIGEST = b64encode(sha256(STYLE.encode()).digest()).decode()
POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_DIGEST}'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
"""Content security policy of pages. It permits the style sheet above, by its digest, and nothing
else: no script, no image, no form."""

SIGN_IN = (
    "<p>You are not signed in. Ask an administrator of this service for a link, "
    "or create one on the server:</p><p><code>filmgate tokens link</code></p>"
)
USED_LINK = (
    "<p>A link is valid once, and for ten minutes. This one was used, is too old, or is "
    "incomplete. Ask an administrator of this service for another, or create one on the server:</p>"
    "<p><code>filmgate tokens link</code></p>"
)
LINK_PATH = "/enter"


def page(title: str, body: str, status: int = 200) -> HTMLResponse:
    """Return a page. `body` is HTML; texts in it must be escaped."""
    text = (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{STYLE}</style>"
        f"<h1>{escape(title)}</h1>{body}</html>"
    )
    headers = {"cache-control": "no-store", "content-security-policy": POLICY}
    return HTMLResponse(text, status, headers)


def error_page(error: FilmgateError, path: str) -> HTMLResponse:
    """Return an error as a page. Paths and values of the request are escaped."""
    status = error.http_status
    if status == HTTPStatus.UNAUTHORIZED and path == LINK_PATH:
        return page("This link is not valid", USED_LINK, status)
    if status == HTTPStatus.UNAUTHORIZED:
        return page("Sign in", SIGN_IN, status)
    home = '<p><a href="/">Start page</a></p>'
    return page(HTTPStatus(status).phrase, f"<p>{escape(str(error))}</p>{home}", status)
