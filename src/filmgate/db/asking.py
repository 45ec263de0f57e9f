"""Asking: what a question may be, before the database hears it."""

from filmgate.core.errors import UsageError
from filmgate.core.moments import MAX_MS
from filmgate.core.questions import LONGEST_QUERY
from filmgate.db.sessions import storable_text

MOST = 100_000
"""So many are shown at once, at most."""


def askable(query: str) -> str:
    """Words as they are asked for; UsageError where there are too many."""
    if len(query) > LONGEST_QUERY:
        raise UsageError(
            "this question is too long",
            expected=f"{LONGEST_QUERY:,} characters or fewer",
            got=f"{len(query):,}",
        )
    return storable_text(query)


def check_numbers(limit: int, *moments: int | None) -> None:
    """UsageError where so many cannot be shown, or no film is that long."""
    if not 1 <= limit <= MOST:
        raise UsageError("so many cannot be shown", expected=f"1 to {MOST:,}", got=str(limit))
    for moment in moments:
        if moment is not None and not -1 <= moment <= MAX_MS + 1:
            raise UsageError(
                "no film is that long", expected=f"-1 to {MAX_MS + 1} ms", got=str(moment)
            )
