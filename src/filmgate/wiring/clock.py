"""The system clock, and periods of time."""

import re
from datetime import UTC, datetime, timedelta

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def utc_now() -> datetime:
    """Return the current time, aware and in UTC."""
    return datetime.now(UTC)


def parse_period(text: str) -> timedelta | None:
    """Parse a number of minutes, hours, days or weeks, such as `30m` or `2w`; None if invalid."""
    found = re.fullmatch(r"([1-9][0-9]{0,4})([mhdw])", text)
    return timedelta(**{_UNITS[found[2]]: int(found[1])}) if found is not None else None
