"""Limits and parsing of points in time."""

from datetime import datetime

MAX_MS = 10 * 366 * 24 * 3600 * 1000
"""Largest time in a film: ten years, in milliseconds. A larger value is in the wrong unit."""


def parse_moment(value: object) -> datetime | None:
    """Parse a JSON value as an ISO 8601 date and time; None if it is not one."""
    try:
        return datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
