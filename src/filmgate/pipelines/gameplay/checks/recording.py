"""Checks of the recording: frames that are missing or twice, its length, its rate."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from filmgate.pipelines.gameplay.checking import check
from filmgate.pipelines.gameplay.session import Session

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST_DROPPED = 0.05
"""The share of frames: what the recorder's own client lets pass."""
MOST_TWICE = 0.6
"""The share of frames, while something moves, that repeat the one before. Games that draw 30 times
a second repeat every other frame of 60 and are fine; what is left of more repeats than this are
fewer than 24 new pictures a second, which film holds to be the least for motion."""
MIN_S, MAX_S = 20.0, 900.0
"""What the recorder's own client lets pass."""
MIN_RATE = 54.0
"""Frames a second: likewise, of a nominal 60."""

MOSTLY = 0.8
"""The share of steps that are as usual, where the rate is one."""
GAP = 1.5
"""Times the usual step: a longer one has room for a frame that is not there."""
SAME = 0.05
"""Times the movement around it: a frame that changes less is the one before, coded anew. On a
recording at 60 of a game that drew fewer, such frames changed by 0.003 to 0.02 times as much as
those around them."""
MOVES = 1.0
"""Of 255, on the mean: less is no movement that repeats could be told by."""
WINDOW = 12
"""Frames before and after in which there must be movement."""


@dataclass(frozen=True, kw_only=True)
class Dropped:
    """Frames that are missing."""

    value: bool
    share: float
    """The larger of what the time line lacks and what the recorder says it skipped."""
    gaps: int
    longest_gap_ms: int
    skipped: int | None
    """What the recorder says; null where it does not."""
    after_frames: list[int]
    """Numbers of up to ten frames before a gap."""
    severity: float
    """0 to 1: how bad; what is worst comes first in a report."""


@check(version=1)
def has_dropped_frames(session: Session) -> Dropped:
    """Whether more than 5 % of the frames are missing: by gaps in the timestamps, or by what the
    recorder says it skipped. Where the rate varies all along, gaps say nothing."""
    import numpy as np  # heavy

    steps = np.diff(session.extracted.pts)
    usual = float(np.median(steps)) if len(steps) else 0.0
    is_even = bool(usual) and float((abs(steps - usual) <= 1).mean()) >= MOSTLY
    gaps = np.flatnonzero(steps > GAP * usual) if is_even else np.zeros(0, np.int64)
    missing = int(np.round(steps[gaps] / usual - 1).sum()) if len(gaps) else 0
    by_time = missing / (len(session.extracted.pts) + missing)
    skipped, total = _skipped(session.extracted.session_metadata)
    share = max(by_time, skipped / total if skipped is not None and total else 0.0)
    longest = int(steps.max()) if len(steps) else 0
    return Dropped(
        value=share > MOST_DROPPED,
        share=round(share, 6),
        gaps=len(gaps),
        longest_gap_ms=round(float(longest * session.extracted.time_base * 1000)),
        skipped=skipped,
        after_frames=[int(each) for each in gaps[:10]],
        severity=round(share, 4),
    )


def _skipped(metadata: Any) -> tuple[int | None, int]:
    """What the recorder says: (frames that it skipped, of how many)."""
    extra = metadata.get("recorder_extra")
    told = extra.get("skipped_frames") if isinstance(extra, dict) else None
    if not isinstance(told, dict):
        return None, 0
    skipped, total = told.get("skipped"), told.get("total")
    if type(skipped) is int and type(total) is int and 0 <= skipped <= total < 1 << 53:
        return skipped, total
    return None, 0


@dataclass(frozen=True, kw_only=True)
class Twice:
    """Frames that are shown twice while something moves."""

    value: bool
    share: float
    looked_at: int
    """Frames that were decoded right after the one before, while something moved around them."""
    frames: list[int]
    """Numbers of up to ten that are the same as the one before."""
    severity: float
    """0 to 1: how bad; what is worst comes first in a report."""


@check(version=1)
def has_duplicate_frames(session: Session) -> Twice:
    """Whether more than 60 % of the frames repeat the one before while the picture moves. A
    picture that stands still says nothing."""
    numbers, change = session.extracted.change
    around = _around(numbers, change)
    moving = around >= MOVES
    twice = moving & (change <= SAME * around)
    looked_at = int(moving.sum())
    share = float(twice.sum() / looked_at) if looked_at else 0.0
    return Twice(
        value=share > MOST_TWICE,
        share=round(share, 6),
        looked_at=looked_at,
        frames=[int(each) for each in numbers[twice][:10]],
        severity=round(share, 4),
    )


def _around(numbers: "NDArray[np.int64]", change: "NDArray[np.float32]") -> "NDArray[np.float32]":
    """How much the picture moves around each frame: the largest change shortly before it or the
    largest shortly after, whichever is less."""
    import numpy as np  # heavy

    if not len(numbers):
        return change
    first = int(numbers[0])
    line = np.zeros(int(numbers[-1]) - first + 1 + 2 * WINDOW, np.float32)
    line[numbers - first + WINDOW] = change
    windows = np.lib.stride_tricks.sliding_window_view(line, WINDOW).max(axis=1)
    place = numbers - first + WINDOW
    around: NDArray[np.float32] = np.minimum(windows[place - WINDOW], windows[place + 1])
    return around


@dataclass(frozen=True, kw_only=True)
class Length:
    """How long it is."""

    value: bool
    duration_ms: int
    severity: float
    """0 to 1: how bad; what is worst comes first in a report."""


@check(version=1)
def is_length_unusual(session: Session) -> Length:
    """Whether it is shorter than 20 seconds or longer than 15 minutes."""
    ms = session.duration_ms
    inside = min(1.0, ms / (MIN_S * 1000), MAX_S * 1000 / max(1, ms))
    return Length(value=inside < 1, duration_ms=ms, severity=round(1 - inside, 4))


@dataclass(frozen=True, kw_only=True)
class Rate:
    """How many frames a second."""

    value: bool
    frames_per_second: float
    """From the first to the last frame, by their timestamps."""
    frames: int
    severity: float
    """0 to 1: how bad; what is worst comes first in a report."""


@check(version=1)
def is_rate_low(session: Session) -> Rate:
    """Whether it has fewer than 54 frames a second."""
    pts = session.extracted.pts
    length = (int(pts[-1]) - int(pts[0])) * session.extracted.time_base
    rate = float((len(pts) - 1) / length) if length else 0.0
    return Rate(
        value=rate < MIN_RATE,
        frames_per_second=round(rate, 4),
        frames=len(pts),
        severity=round(max(0.0, 1 - rate / MIN_RATE), 4),
    )
