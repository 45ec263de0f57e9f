"""Limits and parsing of points in time."""

from datetime import datetime
from typing import Any

MAX_MS = 10 * 366 * 24 * 3600 * 1000
"""Largest time in a film: ten years, in milliseconds. A larger value is in the wrong unit."""


def parse_moment(value: Any) -> datetime | None:
    """Parse a JSON value as an ISO 8601 date and time; None if it is not one."""
    try:
        return datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
