"""Liveness: what a silent runner may be called. Suspect is a word, never a state."""

from datetime import datetime

SUSPECT_AFTER_S = 30.0
"""A runner speaks twice a second; one that was stopped, or swaps, may still come back."""


def silence_s(heartbeat: datetime | None, now: datetime) -> float | None:
    """Seconds since the runner's last word; None where it never spoke. A clock that was set
    back since makes no silence."""
    return None if heartbeat is None else max(0.0, (now - heartbeat).total_seconds())


def is_suspect(heartbeat: datetime | None, now: datetime, *, is_held: bool) -> bool:
    """Whether the run is held by somebody who has not been heard of for long."""
    silence = silence_s(heartbeat, now)
    return is_held and silence is not None and silence > SUSPECT_AFTER_S
