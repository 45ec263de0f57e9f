"""Checks of a request against the OpenAPI description: parameters, and content type of the body."""

from dataclasses import dataclass

from fastapi import FastAPI, Request

from filmgate.api.middleware import SAFE_METHODS
from filmgate.core.digest import JsonDict
from filmgate.core.errors import UnsupportedMedia, UsageError


async def check_request(request: Request) -> None:
    """Check a request against the OpenAPI description, before its endpoint parses it.

    Raises UsageError for an unknown query parameter, so that a misspelled one is not ignored, and
    for a boolean one other than `true` or `false`. Raises UnsupportedMedia for a body of a content
    type that the description does not name.
    """
    if request.method in SAFE_METHODS and not request.query_params:
        return
    inputs = inputs_of(request.app, request.scope["route"].path_format, request.method.lower())
    if request.query_params:
        check_query(request, inputs)
    if request.method not in SAFE_METHODS and _has_body(request):
        _check_content_type(request.headers.get("content-type", ""), inputs)


def check_query(request: Request, inputs: "OperationInputs") -> None:
    """Raise UsageError for an unknown query parameter, or a boolean one with another spelling."""
    for name, value in request.query_params.multi_items():
        if name not in inputs.parameters:
            names = ", ".join(sorted(inputs.parameters))
            raise UsageError(
                f"parameter {name[:80]!r} is unknown",
                expected=f"one of {names}" if names else "none",
                got=short_repr(name),
            )
        if name in inputs.booleans and value not in {"true", "false"}:
            raise UsageError(
                f"query.{name} is invalid", expected="true or false", got=short_repr(value)
            )


def _has_body(request: Request) -> bool:
    headers = request.headers
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"


def _check_content_type(content_type: str, inputs: "OperationInputs") -> None:
    media_type = content_type.partition(";")[0].strip().lower()
    group = f"{media_type.partition('/')[0]}/*"
    if media_type and not {media_type, group} & inputs.content_types:
        raise UnsupportedMedia(
            "the content type of the body is not supported",
            expected=" or ".join(sorted(inputs.content_types)) or "no body",
            got=repr(media_type[:80]),
        )


@dataclass(frozen=True, kw_only=True)
class OperationInputs:
    """What an operation takes, according to the OpenAPI description."""

    parameters: frozenset[str]
    """Names of its query parameters."""
    booleans: frozenset[str]
    """Names of its boolean query parameters."""
    content_types: frozenset[str]
    """Content types of its body, such as `application/json` or `video/*`; none without a body."""


def inputs_of(app: FastAPI, path: str, method: str) -> OperationInputs:
    """Return what an operation takes."""
    cache: dict[tuple[str, str], OperationInputs] = app.state.inputs
    if (path, method) not in cache:
        operation = app.openapi()["paths"].get(path, {}).get(method, {})
        parameters = {
            parameter["name"]: parameter.get("schema", {})
            for parameter in operation.get("parameters", [])
            if parameter["in"] == "query"
        }
        cache[path, method] = OperationInputs(
            parameters=frozenset(parameters),
            booleans=frozenset(name for name, schema in parameters.items() if _is_boolean(schema)),
            content_types=frozenset(operation.get("requestBody", {}).get("content", {})),
        )
    return cache[path, method]


def _is_boolean(schema: JsonDict) -> bool:
    variants = [schema, *schema.get("anyOf", ())]
    return any(variant.get("type") == "boolean" for variant in variants)


def short_repr(value: object) -> str:
    """Return the first 200 characters of a value's repr, with lone surrogates escaped."""
    return repr(value)[:200].encode("utf-8", "backslashreplace").decode()
