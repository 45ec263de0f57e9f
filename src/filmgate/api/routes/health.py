"""Health: whether it lives, whether it can serve, and what it counts."""

from collections.abc import Mapping

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse, Response
from pydantic import BaseModel

from filmgate.api.answering import answered
from filmgate.api.parameters import Serving
from filmgate.api.service import Service
from filmgate.core.errors import FilmgateError, Invalid, Unavailable

router = APIRouter(tags=["health"])

TEXT_FORMAT = "text/plain; version=0.0.4; charset=utf-8"


class Health(BaseModel):
    """Whether something is well."""

    status: str


@router.get("/healthz", response_model=Health)
async def healthz(request: Request) -> Response:
    """It lives; nothing else is asked."""
    return answered(request, Health(status="alive"))


@router.get("/readyz", response_model=Health)
def readyz(request: Request, service: Serving) -> Response:
    """The database answers; 503 where it does not."""
    try:
        service.access.has_admin()  # which needs the tables, too
    except Invalid as error:
        raise Unavailable("the database is not ours any more", got=str(error)) from error
    return answered(request, Health(status="ready"))


@router.get(
    "/metrics",
    response_class=PlainTextResponse,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
def metrics(service: Serving) -> Response:
    """What is counted, as Prometheus reads it."""
    text = service.metrics.text(lambda: _known(service))
    return Response(text, headers={"content-type": TEXT_FORMAT})


def _known(service: Service) -> dict[str, Mapping[tuple[str, ...], float]]:
    """What the database knows."""
    try:
        return {
            "jobs": {(state,): count for state, count in service.jobs.counts().items()},
            **service.archive.counts(),
            "database_up": {(): 1.0},
        }
    except FilmgateError:
        return {"database_up": {(): 0.0}}
