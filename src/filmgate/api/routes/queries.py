"""Endpoints of queries: each is made of the query's definition."""

from collections.abc import Callable, Coroutine, Iterable
from typing import Any, get_args, get_origin

from anyio import to_thread
from fastapi import APIRouter, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from fastapi.routing import APIRoute
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from filmgate.api.parameters import get_service
from filmgate.api.request_checks import OperationInputs, check_query
from filmgate.api.responses import json_response
from filmgate.core.command import A, P, Parameters
from filmgate.core.digest import JsonDict
from filmgate.core.query import AnyQuery, Query
from filmgate.services.queries import table


def make_router(names: Iterable[str]) -> APIRouter:
    """Return the endpoints of queries."""
    router = APIRouter(route_class=QueryRoute)
    for query in map(table.load, names):
        router.add_api_route(
            query.path,
            _endpoint(query),
            response_model=query.answer,
            name=query.name,
            description=query.description,
            tags=[query.tag],
            openapi_extra=openapi_parameters(query),
        )
    return router


class QueryRoute(APIRoute):
    """A route whose endpoint takes the request alone, without dependencies."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[None, None, Response]]:
        """Return the endpoint itself: what FastAPI does around it takes as long as a jump."""
        handler: Callable[[Request], Coroutine[None, None, Response]] = self.endpoint
        return handler


def _endpoint(query: AnyQuery) -> Callable[[Request], Coroutine[None, None, Response]]:
    parse = _parser(query)

    def answer(request: Request, parameters: Parameters) -> Response:
        return json_response(request, get_service(request).queries.ask(query, parameters))

    async def endpoint(request: Request) -> Response:
        return await to_thread.run_sync(answer, request, parse(request))

    return endpoint


def _parser(query: Query[P, A]) -> Callable[[Request], P]:
    """Return a function that parses the parameters of a request with one call.

    FastAPI parses parameters one by one, which takes longer than to answer a jump.
    """
    fields = query.parameters.model_fields
    path_fields = frozenset(query.path_fields)
    lists = [name for name, field in fields.items() if _is_list(field)]
    inputs = OperationInputs(
        parameters=frozenset(fields) - path_fields,
        booleans=frozenset(name for name, field in fields.items() if field.annotation is bool),
        content_types=frozenset(),
    )

    def parse(request: Request) -> P:
        check_query(request, inputs)
        values: dict[str, object] = dict(request.query_params)
        for name in lists:
            if name in values:
                values[name] = request.query_params.getlist(name)
        try:
            return query.parameters.model_validate(values | request.path_params)
        except ValidationError as error:
            faults = []
            for fault in error.errors():
                place = fault["loc"]  # empty for a validator of several parameters
                is_in_path = not path_fields.isdisjoint(place[:1])
                faults.append({**fault, "loc": ("path" if is_in_path else "query", *place)})
            raise RequestValidationError(faults) from None

    return parse


def _is_list(field: FieldInfo) -> bool:
    kinds = (field.annotation, *get_args(field.annotation))
    return any(get_origin(kind) is list for kind in kinds)


def openapi_parameters(query: AnyQuery) -> JsonDict:
    """Return the OpenAPI description of a query's parameters."""
    schema = query.parameters.model_json_schema(ref_template="#/components/schemas/{model}")
    required = set(schema.get("required", ()))
    definitions = schema.get("$defs", {})
    return {
        "parameters": [
            {
                "name": name,
                "in": "path" if name in query.path_fields else "query",
                "required": name in required,
                "description": prop.get("description", ""),
                "schema": _inline_refs(prop, definitions),
            }
            for name, prop in schema.get("properties", {}).items()
        ]
    }


def _inline_refs(node: Any, definitions: JsonDict) -> Any:
    """Return a JSON schema without references and without the alternative `null`.

    An optional parameter can be left out but cannot be null.
    """
    if isinstance(node, list):
        return [_inline_refs(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return _inline_refs(definitions[node["$ref"].rpartition("/")[2]], definitions)
    variants = [variant for variant in node.get("anyOf", []) if variant.get("type") != "null"]
    if len(variants) == 1:
        own = {name: value for name, value in node.items() if name not in {"anyOf", "default"}}
        return {**_inline_refs(variants[0], definitions), **own}
    return {name: _inline_refs(value, definitions) for name, value in node.items()}
