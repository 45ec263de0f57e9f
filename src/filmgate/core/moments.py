"""Moments: of a film, and of a day that somebody wrote down."""

from datetime import datetime
from typing import Any

MAX_MS = 10 * 366 * 24 * 3600 * 1000
"""Ten years. A span beyond that is a unit gone wrong, not a long film."""


def moment(value: Any) -> datetime | None:
    """The moment that a JSON value names in ISO 8601; None where it names none."""
    try:
        return datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
