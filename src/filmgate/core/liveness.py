"""Liveness of runners, as shown to people.

A suspect runner has no special state, and no decision of the engine depends on it.
"""

from datetime import datetime

SUSPECT_AFTER_S = 30.0
"""Seconds without a heartbeat after which a runner is suspect. A runner writes two heartbeats per
second; a runner that is suspended or swapping may still continue."""


def silence_s(heartbeat: datetime | None, now: datetime) -> float | None:
    """Seconds since the runner's last heartbeat; None if there was none.

    Never negative, even if the clock was set back.
    """
    return None if heartbeat is None else max(0.0, (now - heartbeat).total_seconds())


def is_suspect(heartbeat: datetime | None, now: datetime, *, is_held: bool) -> bool:
    """Whether a runner holds the run but sent no heartbeat for more than `SUSPECT_AFTER_S`."""
    silence = silence_s(heartbeat, now)
    return is_held and silence is not None and silence > SUSPECT_AFTER_S
