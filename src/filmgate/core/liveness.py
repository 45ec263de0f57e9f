"""Liveness of runners. "Suspect" is shown to people; it is not a state and decides nothing."""

from datetime import datetime

SUSPECT_AFTER_S = 30.0
"""Seconds without a heartbeat after which a runner is suspect. A runner writes two heartbeats per
second; one that is stopped or swapping may still continue."""


def silence_s(heartbeat: datetime | None, now: datetime) -> float | None:
    """Seconds since the runner's last heartbeat; None if there was none.

    At least 0, also if the clock was set back since.
    """
    return None if heartbeat is None else max(0.0, (now - heartbeat).total_seconds())


def is_suspect(heartbeat: datetime | None, now: datetime, *, is_held: bool) -> bool:
    """Whether the run is held by a runner without a heartbeat for `SUSPECT_AFTER_S`."""
    silence = silence_s(heartbeat, now)
    return is_held and silence is not None and silence > SUSPECT_AFTER_S
