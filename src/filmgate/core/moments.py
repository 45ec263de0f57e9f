"""Moments that somebody wrote down."""

from datetime import datetime
from typing import Any


def moment(value: Any) -> datetime | None:
    """The moment that a JSON value names in ISO 8601; None where it names none."""
    try:
        return datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
