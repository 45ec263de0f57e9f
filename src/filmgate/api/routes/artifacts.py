"""Endpoints that are not limited to one video: provenance, text search, known people."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response

from filmgate.api.parameters import Cursor, Limit, ServiceDep, Word
from filmgate.api.query_models import MAX_QUERY_TEXT
from filmgate.api.responses import json_response
from filmgate.core.answers import PeopleAnswer, ProvenanceAnswer, SearchAnswer
from filmgate.core.questions import TextSource

router = APIRouter(prefix="/v1", tags=["artifacts"])


@router.get("/artifacts/{artifact_id}/provenance", response_model=ProvenanceAnswer)
def provenance(
    request: Request,
    service: ServiceDep,
    artifact_id: Annotated[
        str,
        Path(
            max_length=600,
            description="asset:run:type:ordinal",
            examples=["gatecheck-s01e01:Attempt1_2026-11-21_002541_EST:scene:3"],
        ),
    ],
    installation: Word = None,
) -> Response:
    """Return the model, weights, config, input and stages that produced an artifact."""
    return json_response(request, service.queries.provenance(artifact_id, installation))


@router.get("/search", response_model=SearchAnswer)
def search(
    request: Request,
    service: ServiceDep,
    q: Annotated[
        str,
        Query(
            min_length=1,
            max_length=MAX_QUERY_TEXT,
            description='Words, "a phrase", word or word, -excluded.',
            examples=["compiler or rocket"],
        ),
    ],
    source: Annotated[TextSource, Query()] = TextSource.ALL,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Response:
    """Search speech and on-screen text in all videos: up to 3 hits per video, newest first."""
    return json_response(
        request, service.queries.search(q, source=source, limit=limit, cursor=cursor)
    )


@router.get("/people", response_model=PeopleAnswer)
def people(request: Request, service: ServiceDep) -> Response:
    """List known people with their clusters."""
    return json_response(request, service.people.all())
