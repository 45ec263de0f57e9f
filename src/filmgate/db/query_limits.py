"""Limits of queries, checked before the database is used."""

from filmgate.core.errors import UsageError
from filmgate.core.moments import MAX_MS
from filmgate.core.questions import LONGEST_QUERY
from filmgate.db.sessions import storable_text

MAX_LIMIT = 100_000
"""The largest page of a list, in rows."""


def storable_query(query: str) -> str:
    """Return the query as PostgreSQL can store it; UsageError if it is too long."""
    if len(query) > LONGEST_QUERY:
        raise UsageError(
            "the query is too long",
            expected=f"{LONGEST_QUERY:,} characters or fewer",
            got=f"{len(query):,}",
        )
    return storable_text(query)


def check_limits(limit: int, *moments: int | None) -> None:
    """Raise UsageError if the page size, or a moment in milliseconds, is out of range."""
    if not 1 <= limit <= MAX_LIMIT:
        raise UsageError(
            "the limit is out of range", expected=f"1 to {MAX_LIMIT:,}", got=str(limit)
        )
    for moment in moments:
        if moment is not None and not -1 <= moment <= MAX_MS + 1:
            raise UsageError(
                "the time is out of range", expected=f"-1 to {MAX_MS + 1} ms", got=str(moment)
            )
