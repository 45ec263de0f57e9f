"""Rulebooks: which there are, and what they answer."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from filmgate.api.answering import answered
from filmgate.api.parameters import Serving, Word
from filmgate.app.rulebooks import MAX_QUESTION
from filmgate.core.answers import AskAnswer, BooksAnswer

router = APIRouter(prefix="/v1/rulebooks", tags=["rulebooks"])


@router.get("", response_model=BooksAnswer)
def books(request: Request, service: Serving, env: Word = None) -> Response:
    """Every book that can be asked."""
    return answered(request, service.rulebooks.books(env))


@router.get("/ask", response_model=AskAnswer)
def ask(
    request: Request,
    service: Serving,
    q: Annotated[
        str,
        Query(
            min_length=1,
            max_length=MAX_QUESTION,
            description="A question about rules.",
            examples=["how much damage does fireball do"],
        ),
    ],
    book: Word = None,
    env: Word = None,
    limit: Annotated[int, Query(ge=1, le=50)] = 3,
    vectors: Annotated[bool, Query(description="Also by likeness; needs books with vectors.")] = (
        False
    ),
) -> Response:
    """The passages that answer a question best, each with its page and section."""
    answer = service.rulebooks.ask(q, env=env, book=book, limit=limit, vectors=vectors)
    return answered(request, answer)
