"""Artifacts, wherever they are from; words in all videos; known people."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response

from filmgate.api.answering import answered
from filmgate.api.parameters import Cursor, Limit, Serving, Word
from filmgate.api.questions import LONGEST_QUESTION
from filmgate.core.answers import PeopleAnswer, ProvenanceAnswer, SearchAnswer
from filmgate.core.questions import TextSource

router = APIRouter(prefix="/v1", tags=["artifacts"])


@router.get("/artifacts/{artifact_id}/provenance", response_model=ProvenanceAnswer)
def provenance(
    request: Request,
    service: Serving,
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
    """Where an artifact comes from: model, weights, config, input, and every stage before it."""
    return answered(request, service.archive.provenance(artifact_id, installation))


@router.get("/search", response_model=SearchAnswer)
def search(
    request: Request,
    service: Serving,
    q: Annotated[
        str,
        Query(
            min_length=1,
            max_length=LONGEST_QUESTION,
            description='Words, "a phrase", this or that, -without.',
            examples=["compiler or rocket"],
        ),
    ],
    source: Annotated[TextSource, Query()] = TextSource.ALL,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Response:
    """Where in all videos something is said or shown; a few places of each, newest video first."""
    return answered(request, service.archive.search(q, source=source, limit=limit, cursor=cursor))


@router.get("/people", response_model=PeopleAnswer)
def people(request: Request, service: Serving) -> Response:
    """Everybody who is known, and by which clusters."""
    return answered(request, service.people.all())
