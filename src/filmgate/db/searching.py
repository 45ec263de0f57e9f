"""Search in the served texts of all assets, a few assets at a time."""

from typing import Any

from filmgate.core.answers import SearchAnswer
from filmgate.core.database import Row
from filmgate.core.questions import Cursor, TextSource
from filmgate.db import statements
from filmgate.db.paging import AFTER_LAST, AFTER_PARAMETERS, GREATEST_KEY, SEARCH_CURSOR, sort_key
from filmgate.db.query_limits import check_limits, storable_query
from filmgate.db.search_hits import SNIPPET_OPTIONS, envelope_of, has_artifact, hit_of
from filmgate.db.sessions import DatabaseSession

HITS_PER_ASSET = 3
"""Most hits of one asset in a search."""

ASSETS_PER_STEP = (8, 16, 40)
"""Numbers of assets that a search reads, step by step, until a page is full: the first step is
usually enough."""


def search(
    session: DatabaseSession,
    query: str,
    *,
    source: TextSource = TextSource.ALL,
    limit: int = 20,
    cursor: str | None = None,
) -> SearchAnswer:
    """Return a page of hits in all assets, the latest added asset first, up to 3 hits per asset.

    Searches what is served by default. One page reads a limited number of assets: it may have fewer
    hits than `limit` and still a next page. A query that can match by an absent word (`-gate`,
    `rocket or -gate`) has no hits. Raises UsageError for a query of over 10,000 characters or a
    cursor of another query.
    """
    query = storable_query(query)
    check_limits(limit)
    question = ["search", query, source]
    position = Cursor.decode(cursor, question, SEARCH_CURSOR) if cursor else None
    found: list[Row] = []
    is_complete = False
    for asset_count in ASSETS_PER_STEP:
        parameters = _parameters(query, source, position, limit + 1 - len(found), asset_count)
        rows = session.all(statements.search(), parameters)
        found += filter(has_artifact, rows)
        is_complete = rows[0]["films"] < asset_count
        if is_complete or len(found) > limit:
            break
        position = [rows[0]["last_asset"], *AFTER_LAST]
    following = None
    if len(found) > limit:
        last = found[limit - 1]
        following = Cursor.encode(question, [last["asset_key"], *sort_key(envelope_of(last))])
    elif not is_complete:
        following = Cursor.encode(question, position or [])
    return SearchAnswer(
        query=query,
        source=source,
        hits=tuple(hit_of(envelope_of(row), row["marked"]) for row in found[:limit]),
        next_cursor=following,
    )


def _parameters(
    query: str, source: TextSource, position: list[Any] | None, limit: int, asset_count: int
) -> dict[str, object]:
    asset_key, *after = position or [None] * len(SEARCH_CURSOR)
    return {
        "query": query,
        "artifact_types": list(source.artifact_types),
        "limit": limit,
        "per_asset": HITS_PER_ASSET,
        "films": asset_count,
        **SNIPPET_OPTIONS,
        "after_asset": None if asset_key is None else min(asset_key, GREATEST_KEY),
        **dict(zip(AFTER_PARAMETERS, after, strict=True)),
    }
