"""Search: words in what is served of all assets, a few assets at a time."""

from typing import Any

from filmgate.core.answers import SearchAnswer
from filmgate.core.questions import Cursor, TextSource
from filmgate.db import statements
from filmgate.db.asking import askable, check_numbers
from filmgate.db.hits import SNIPPETS, envelope_of, hit_of, is_there
from filmgate.db.paging import AFTER, BEYOND, FOUND, GREATEST_KEY, place_of
from filmgate.db.sessions import Session

PER_ASSET = 3
"""So many hits of each video does a search show."""

FILMS_AT_ONCE = (8, 16, 40)
"""So many videos are looked through for a page of a search: the first few are mostly enough."""


def search(
    session: Session,
    query: str,
    *,
    source: TextSource = TextSource.ALL,
    limit: int = 20,
    cursor: str | None = None,
) -> SearchAnswer:
    """What matches in all assets, those that were added last first; a few of each.

    Over what is served by default. For one page only so many assets are looked through: a
    page may have fewer hits than asked for and still a next one. A query that finds
    something by what is not there (`-gate`, `rocket or -gate`) finds nothing here. Raises
    UsageError for a query of over 10,000 characters or a cursor of another question.
    """
    query = askable(query)
    check_numbers(limit)
    question = ["search", query, source]
    place = Cursor.read(cursor, question, FOUND) if cursor else None
    found: list[dict[str, Any]] = []
    is_all = False
    for films in FILMS_AT_ONCE:
        asked = _searched(query, source, place, limit + 1 - len(found), films)
        rows = session.all(statements.search(), asked)
        found += filter(is_there, rows)
        is_all = rows[0]["films"] < films
        if is_all or len(found) > limit:
            break
        place = [rows[0]["last_asset"], *BEYOND]
    following = None
    if len(found) > limit:
        last = found[limit - 1]
        following = Cursor.of(question, [last["asset_key"], *place_of(envelope_of(last))])
    elif not is_all:
        following = Cursor.of(question, place or [])
    return SearchAnswer(
        query=query,
        source=source,
        hits=tuple(hit_of(envelope_of(row), row["marked"]) for row in found[:limit]),
        next_cursor=following,
    )


def _searched(
    query: str, source: TextSource, place: list[Any] | None, limit: int, films: int
) -> dict[str, Any]:
    asset_key, *after = place or [None] * len(FOUND)
    return {
        "query": query,
        "artifact_types": list(source.artifact_types),
        "limit": limit,
        "per_asset": PER_ASSET,
        "films": films,
        **SNIPPETS,
        "after_asset": None if asset_key is None else min(asset_key, GREATEST_KEY),
        **dict(zip(AFTER, after, strict=True)),
    }
