"""Endpoints for monitoring: liveness, readiness and metrics."""

from collections.abc import Mapping

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse, Response
from pydantic import BaseModel

from filmgate.api.parameters import ServiceDep
from filmgate.api.responses import json_response
from filmgate.api.service import Service
from filmgate.core.errors import FilmgateError, Invalid, Unavailable

router = APIRouter(tags=["health"])

TEXT_FORMAT = "text/plain; version=0.0.4; charset=utf-8"


class Health(BaseModel):
    """Result of a health check."""

    status: str


@router.get("/healthz", response_model=Health)
async def healthz(request: Request) -> Response:
    """Return 200 while the process runs; nothing else is checked."""
    return json_response(request, Health(status="alive"))


@router.get("/readyz", response_model=Health)
def readyz(request: Request, service: ServiceDep) -> Response:
    """Return 200 if the database answers and contains Filmgate's tables, else 503."""
    try:
        with service.access.store() as stored:
            stored.has_admin()  # needs a connection and Filmgate's tables
    except Invalid as error:
        raise Unavailable("the tables in the database cannot be used", got=str(error)) from error
    return json_response(request, Health(status="ready"))


@router.get(
    "/metrics",
    response_class=PlainTextResponse,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
def metrics(service: ServiceDep) -> Response:
    """Return the metrics in the text format of Prometheus."""
    text = service.metrics.render(lambda: _database_metrics(service))
    return Response(text, headers={"content-type": TEXT_FORMAT})


def _database_metrics(service: Service) -> dict[str, Mapping[tuple[str, ...], float]]:
    """Read the values of the gauges that the database supplies, by name and labels."""
    try:
        with service.jobs.store() as stored:
            jobs = stored.counts()
        return {
            "jobs": {(state,): count for state, count in jobs.items()},
            **service.archive.counts(),
            "database_up": {(): 1.0},
        }
    except FilmgateError:
        return {"database_up": {(): 0.0}}
