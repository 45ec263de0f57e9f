"""The application: routes, errors in one shape, and the description of it all."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from errno import EDQUOT, EMFILE, ENFILE, ENOSPC
from http import HTTPStatus
from typing import Any

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from filmgate.api.answering import ErrorBody, refused
from filmgate.api.doorkeeper import COOKIE
from filmgate.api.examples import ERROR, EXAMPLES
from filmgate.api.guard import Guard
from filmgate.api.routes import (
    access,
    artifacts,
    entrance,
    episodes,
    health,
    jobs,
    rulebooks,
    videos,
)
from filmgate.api.service import Service
from filmgate.core.errors import FilmgateError, Invalid, NotFound, Unavailable, UsageError

TITLE = "Filmgate"
ABOUT = """What your models made of media, with where it comes from: run, follow, find, jump.

Say who you are with `Authorization: Bearer TOKEN`. Lists are paged: an answer's `next_cursor`,
given back as `cursor` with nothing else changed, asks for the next page. Every error has one
shape. GET answers carry an `ETag`; with `If-None-Match` an answer that is still the same is 304.
"""
WORDS = {
    400: "Bad words: a parameter or a body that will not do",
    401: "Nobody knows who asks",
    403: "Whoever asks may not do this",
    404: "Nothing goes by that name, or lies in that direction",
    408: "The body does not come",
    409: "Held, sealed, or in the way of something that stands",
    413: "The body is too large",
    415: "Another kind of thing than is taken",
    416: "The file has no such part",
    429: "Too many requests; see Retry-After",
    500: "A fault of Filmgate",
    503: "A service is away; see Retry-After",
}


def create_app(service: Service) -> FastAPI:
    """The application over a service that is open."""

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        listening = asyncio.create_task(service.hub.listen(service.doorkeeper.forget))
        try:
            yield
        finally:
            service.hub.close()
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    app = FastAPI(
        title=TITLE,
        description=ABOUT,
        version="1",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        redirect_slashes=False,
        dependencies=[Depends(known_words)],
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.service = service
    app.state.words = {}
    for module in (videos, episodes, artifacts, rulebooks, jobs, access, entrance, health):
        app.include_router(module.router)
    app.add_exception_handler(FilmgateError, _of_ours)
    app.add_exception_handler(RequestValidationError, _of_words)
    app.add_exception_handler(HTTPException, _of_http)
    app.add_exception_handler(OSError, _of_the_system)
    app.add_exception_handler(ClientDisconnect, _of_the_gone)
    app.add_middleware(Guard, service=service)
    app.openapi = lambda: _described(app)  # type: ignore[method-assign]
    return app


async def _of_ours(_request: Request, error: Exception) -> Response:
    if not isinstance(error, FilmgateError):
        raise error
    return refused(error)


async def _of_words(_request: Request, error: Exception) -> Response:
    """Bad parameters and bodies: 400, never 422. The first fault is told, the others listed."""
    faults = error.errors() if isinstance(error, RequestValidationError) else []
    told = [
        {
            "where": ".".join(str(part) for part in each["loc"]),
            "expected": each["msg"],
            "got": _shown(each.get("input")),
        }
        for each in faults[:20]
    ]
    first = told[0] if told else {"where": "the request", "expected": None, "got": None}
    return refused(
        UsageError(
            f"{first['where']} will not do",
            expected=first["expected"],
            got=first["got"] if faults and faults[0]["type"] != "missing" else "nothing",
            hint="/openapi.json describes what will",
            faults=told[1:] or None,
        )
    )


def _shown(value: object) -> str:
    """What came, as it can be told: short, and in UTF-8."""
    return repr(value)[:200].encode("utf-8", "backslashreplace").decode()


async def known_words(request: Request) -> None:
    """Raise UsageError for a parameter that is none here: what is misspelled would do nothing."""
    if not request.query_params:
        return
    words = _words_of(request.app, request.scope["route"].path, request.method.lower())
    strange = [name for name in request.query_params if name not in words]
    if strange:
        raise UsageError(
            f"there is no parameter {strange[0][:80]!r} here",
            expected=f"one of {', '.join(sorted(words))}" if words else "none",
            got=_shown(strange[0]),
        )


def _words_of(app: FastAPI, path: str, method: str) -> frozenset[str]:
    """The parameters in the query of an operation."""
    known: dict[tuple[str, str], frozenset[str]] = app.state.words
    if (path, method) not in known:
        operation = app.openapi()["paths"].get(path, {}).get(method, {})
        told = operation.get("parameters", [])
        known[path, method] = frozenset(each["name"] for each in told if each["in"] == "query")
    return known[path, method]


async def _of_http(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    where = f"{request.method} {request.url.path[:200]}"
    if status == HTTPStatus.NOT_FOUND:
        return refused(NotFound(f"there is nothing at {where}", hint="/openapi.json lists it all"))
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        response = refused(
            MethodNotAllowed(f"{where} is not done", hint="/openapi.json lists what is")
        )
        allowed = error.headers if isinstance(error, HTTPException) else None
        response.headers.update(allowed or {})
        return response
    said = error.detail if isinstance(error, HTTPException) else str(error)
    return refused(Invalid(f"the request will not do: {said}"))


async def _of_the_system(_request: Request, error: Exception) -> Response:
    if getattr(error, "errno", None) not in {ENOSPC, EDQUOT, EMFILE, ENFILE}:
        raise error
    return refused(
        Unavailable(
            "this machine is out of room",
            got=getattr(error, "strerror", None) or type(error).__name__,
            hint="Nothing was half-written; a full disk needs space",
        )
    )


async def _of_the_gone(_request: Request, _error: Exception) -> Response:
    """Whoever asked has gone, in the middle of a body; nobody hears this."""
    return refused(Invalid("the request broke off"))


class MethodNotAllowed(UsageError):
    """The path takes other methods."""

    code = "method_not_allowed"
    closer_status = 405


def _described(app: FastAPI) -> dict[str, Any]:
    """OpenAPI, with our errors in place of the library's."""
    if app.openapi_schema is not None:
        return app.openapi_schema
    schema = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes
    )
    schemas = schema.setdefault("components", {}).setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas["ErrorBody"] = ErrorBody.model_json_schema()
    schema["components"]["securitySchemes"] = {
        "token": {
            "type": "http",
            "scheme": "bearer",
            "description": "A token of `filmgate tokens create`.",
        },
        "session": {
            "type": "apiKey",
            "in": "cookie",
            "name": COOKIE,
            "description": "A session of a one-time link; changes carry `X-CSRF-Token` besides.",
        },
    }
    schema["security"] = [{"token": []}, {"session": []}]
    schema["components"]["responses"] = {
        str(status): {
            "description": told,
            "content": {
                "application/json": {
                    "schema": {"$ref": "#/components/schemas/ErrorBody"},
                    "example": ERROR,
                }
            },
        }
        for status, told in WORDS.items()
    }
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            _describe(path, method, operation)
    app.openapi_schema = schema
    return schema


def _describe(path: str, method: str, operation: dict[str, Any]) -> None:
    """Which errors an operation may end with."""
    responses = operation["responses"]
    responses.pop("422", None)
    if (example := EXAMPLES.get((method, path))) is not None:
        for status in responses.keys() & {"200", "201", "202"}:
            responses[status]["content"]["application/json"]["example"] = example
    statuses = [400, 401, 403, 404, 409, 429, 500, 503]
    if method == "post":
        statuses += [408, 413, 415]
    if path.endswith(("/media", "/export")):
        statuses.append(416)
    if method == "get":
        responses["304"] = {"description": "Still the same"}
    for status in statuses:
        responses.setdefault(str(status), {"$ref": f"#/components/responses/{status}"})
    if path in {"/healthz", "/readyz", "/enter", "/"}:
        operation["security"] = []
