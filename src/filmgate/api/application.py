"""Create the FastAPI application: routes, error handlers and the OpenAPI description."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from http import HTTPStatus

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match

from filmgate.api.authentication import COOKIE
from filmgate.api.examples import ERROR, EXAMPLES
from filmgate.api.middleware import SINGLE_USE_PATHS, RequestMiddleware
from filmgate.api.request_checks import check_request, short_repr
from filmgate.api.responses import ErrorBody, error_response
from filmgate.api.routes import access, health, jobs, login, people, queries, runs, videos
from filmgate.api.service import Service
from filmgate.core.digest import JsonDict
from filmgate.core.errors import (
    Exhausted,
    FilmgateError,
    Invalid,
    NotFound,
    UsageError,
)
from filmgate.core.os_errors import error_from_os
from filmgate.services.queries import table
from filmgate.services.queries.entries import BUILT_IN

TITLE = "Filmgate"
API_DESCRIPTION = """Run media pipelines, follow their progress, and query the artifacts they make.

Authenticate with `Authorization: Bearer TOKEN`. Lists are paged: repeat the request with the
response's `next_cursor` as `cursor` to get the next page. All errors have the same body. GET
responses have an `ETag`; a request whose `If-None-Match` matches it is answered with 304. A GET
request that prefers `text/html`, as those of browsers do, gets an error as a page.
"""
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
"""Methods that a path may support, besides HEAD."""

STATUS_DESCRIPTIONS = {
    400: "Invalid parameter or body",
    401: "Authentication required",
    403: "Not permitted",
    404: "Unknown id, or no artifact in that direction",
    408: "Request body did not arrive in time",
    409: "Run is in use or sealed, or the request conflicts with stored data",
    413: "Request body is too large",
    415: "Unsupported media type",
    416: "Range not satisfiable",
    429: "Too many requests; see Retry-After",
    431: "Request target or header fields are too large",
    500: "Internal error of Filmgate",
    503: "Service unavailable; see Retry-After",
}
"""Descriptions of the error responses in the OpenAPI description, by HTTP status."""


def create_app(service: Service) -> FastAPI:
    """Create the application for a service whose connection pool is open."""

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        listening = asyncio.create_task(service.hub.listen(service.authenticator.clear_cache))
        # The first checked request would wait half a second for it, and all others with it.
        describing = asyncio.create_task(asyncio.to_thread(app.openapi))
        try:
            yield
        finally:
            service.hub.close()
            listening.cancel()
            await asyncio.gather(listening, describing, return_exceptions=True)

    app = FastAPI(
        title=TITLE,
        description=API_DESCRIPTION,
        version="1",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.service = service
    app.state.inputs = {}
    # Routes are compared in this order, each with the path of the request: the most frequent first.
    # Queries of packages come last, so that they replace no other endpoint.
    built_in = queries.make_router(BUILT_IN)
    modules = (videos, runs, jobs, people, access, login, health)
    others = [*(module.router for module in modules), jobs.make_submit_router()]
    app.include_router(built_in)
    for router in others:  # queries check their parameters themselves
        app.include_router(router, dependencies=[Depends(check_request)])
    taken = [route for router in (built_in, *others) for route in router.routes]
    app.include_router(queries.make_router(table.names_of_packages(), taken))
    app.add_exception_handler(FilmgateError, handle_filmgate_error)
    app.add_exception_handler(RequestValidationError, handle_validation_error)
    app.add_exception_handler(HTTPException, handle_http_error)
    app.add_exception_handler(OSError, handle_os_error)
    app.add_exception_handler(ClientDisconnect, handle_client_disconnect)
    app.add_middleware(RequestMiddleware, service=service)
    app.openapi = lambda: _openapi_schema(app)  # type: ignore[method-assign]
    return app


async def handle_filmgate_error(request: Request, error: Exception) -> Response:
    """Return a FilmgateError as an error response."""
    if not isinstance(error, FilmgateError):
        raise error
    return error_response(error, request.scope)


async def handle_validation_error(request: Request, error: Exception) -> Response:
    """Return 400 for invalid parameters and bodies, where FastAPI would return 422.

    The message describes the first fault; `details.faults` lists up to 19 more.
    """
    errors = error.errors() if isinstance(error, RequestValidationError) else []
    faults = [
        {
            "where": ".".join(str(part) for part in fault["loc"]),
            "expected": fault["msg"],
            "got": short_repr(fault.get("input")),
        }
        for fault in errors[:20]
    ]
    first = faults[0] if faults else {"where": "the request", "expected": None, "got": None}
    return error_response(
        UsageError(
            f"{first['where']} is invalid",
            expected=first["expected"],
            got=first["got"] if errors and errors[0]["type"] != "missing" else "nothing",
            hint="See /openapi.json for the parameters and the body",
            faults=faults[1:] or None,
        ),
        request.scope,
    )


async def handle_http_error(request: Request, error: Exception) -> Response:
    """Return an error of the framework, such as 404 for an unknown path, as an error response."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    endpoint = f"{request.method} {request.url.path[:200]}"
    if status == HTTPStatus.NOT_FOUND:
        hint = "See /openapi.json for all endpoints"
        return error_response(
            NotFound(f"endpoint {endpoint} does not exist", hint=hint), request.scope
        )
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = ", ".join(methods_of(request))
        not_allowed = MethodNotAllowed(f"{endpoint} is not allowed", expected=allowed)
        response = error_response(not_allowed, request.scope)
        response.headers["allow"] = allowed
        return response
    detail = error.detail if isinstance(error, HTTPException) else str(error)
    return error_response(Invalid(f"the request is invalid: {detail}"), request.scope)


def methods_of(request: Request) -> list[str]:
    """Return the methods that the request's path supports. The framework's own header has only
    those of the first route of the path."""
    methods = [
        method
        for method in METHODS
        if any(
            route.matches({**request.scope, "method": method})[0] is Match.FULL
            for route in request.app.routes
        )
    ]
    if "GET" in methods and request.url.path not in SINGLE_USE_PATHS:
        methods.insert(1, "HEAD")
    return methods


async def handle_os_error(request: Request, error: Exception) -> Response:
    """Return 503 if disk space or file descriptors are exhausted; raise any other error again."""
    if isinstance(error, OSError):
        without_path = OSError(error.errno, error.strerror)  # clients need not know it
        retry = "send the request again; no partial file was left"
        exhausted = error_from_os(without_path, retry=retry)
        if isinstance(exhausted, Exhausted):
            return error_response(exhausted, request.scope)
    raise error


async def handle_client_disconnect(request: Request, _error: Exception) -> Response:
    """Return a response for a client that disconnected while it sent the body.
    The framework requires a response, although the client cannot receive it."""
    error = Invalid("the client disconnected before the body was complete")
    return error_response(error, request.scope)


class MethodNotAllowed(UsageError):
    """Error for a path that does not support the HTTP method."""

    code = "method_not_allowed"
    http_status_override = 405


def _openapi_schema(app: FastAPI) -> JsonDict:
    """Return the OpenAPI schema, with Filmgate's error responses in place of the framework's."""
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
            "description": "A token made with `filmgate tokens create`.",
        },
        "session": {
            "type": "apiKey",
            "in": "cookie",
            "name": COOKIE,
            "description": "The session of a one-time link; changes also need `X-CSRF-Token`.",
        },
    }
    schema["security"] = [{"token": []}, {"session": []}]
    schema["components"]["responses"] = {
        str(status): {
            "description": description,
            "content": {
                "application/json": {
                    "schema": {"$ref": "#/components/schemas/ErrorBody"},
                    "example": ERROR,
                },
                "text/html": {"schema": {"type": "string"}},
            },
        }
        for status, description in STATUS_DESCRIPTIONS.items()
    }
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            _add_responses(path, method, operation)
    app.openapi_schema = schema
    return schema


def _add_responses(path: str, method: str, operation: JsonDict) -> None:
    """Add the example and the error responses of an operation to its description."""
    responses = operation["responses"]
    responses.pop("422", None)
    if (example := EXAMPLES.get((method, path))) is not None:
        for status in responses.keys() & {"200", "201", "202"}:
            responses[status]["content"]["application/json"]["example"] = example
    statuses = [400, 401, 403, 404, 409, 429, 431, 500, 503]
    if method != "get":
        statuses += [408, 413, 415]
    if path.endswith(("/media", "/export")):
        statuses.append(416)
    if method == "get":
        responses["304"] = {"description": "Not modified"}
    for status in statuses:
        responses.setdefault(str(status), {"$ref": f"#/components/responses/{status}"})
    if path in {"/healthz", "/readyz", "/enter", "/"}:
        operation["security"] = []
