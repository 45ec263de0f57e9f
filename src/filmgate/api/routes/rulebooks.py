"""Endpoints of the rulebook corpus: list books, answer questions."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from filmgate.api.parameters import ServiceDep, Word
from filmgate.api.responses import json_response
from filmgate.core.answers import AskAnswer, BooksAnswer
from filmgate.services.rulebooks import MAX_QUESTION

router = APIRouter(prefix="/v1/rulebooks", tags=["rulebooks"])


@router.get("", response_model=BooksAnswer)
def books(request: Request, service: ServiceDep, env: Word = None) -> Response:
    """List the books of the corpus."""
    return json_response(request, service.rulebooks.books(env))


@router.get("/ask", response_model=AskAnswer)
def ask(
    request: Request,
    service: ServiceDep,
    q: Annotated[
        str,
        Query(
            min_length=1,
            max_length=MAX_QUESTION,
            description="Question about rules.",
            examples=["how much damage does fireball do"],
        ),
    ],
    book: Word = None,
    env: Word = None,
    limit: Annotated[int, Query(ge=1, le=50)] = 3,
    vectors: Annotated[
        bool, Query(description="Also rank by embeddings; needs books with embeddings.")
    ] = False,
) -> Response:
    """Return the passages that answer a question best, each with its page and section."""
    answer = service.rulebooks.ask(q, env=env, book=book, limit=limit, vectors=vectors)
    return json_response(request, answer)
