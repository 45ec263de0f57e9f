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
MOST_TWICE = 0.05
"""Likewise: a frame that is shown again is one that was not recorded."""
MIN_S, MAX_S = 20.0, 900.0
"""What the recorder's own client lets pass."""
MIN_RATE = 54.0
"""Frames a second: likewise, of a nominal 60."""

GAP = 1.5
"""Times the usual step: a longer one has room for a frame that is not there."""
SAME = 0.02
"""Of 255, on the mean: less is the same frame again, as the codec repeats it."""
MOVES = 1.0
"""Likewise: more is movement."""
WINDOW = 30
"""Frames around which something must move, before one that is twice says anything."""


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


@check(version=1)
def has_dropped_frames(session: Session) -> Dropped:
    """Whether more than 5 % of the frames are missing: by gaps in the timestamps, or by what the
    recorder says it skipped."""
    import numpy as np  # heavy

    steps = np.diff(session.extracted.pts)
    usual = float(np.median(steps)) if len(steps) else 0.0
    gaps = np.flatnonzero(steps > GAP * usual) if usual else np.zeros(0, np.int64)
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
    )


def _skipped(metadata: Any) -> tuple[int | None, int]:
    """What the recorder says: (frames that it skipped, of how many)."""
    extra = metadata.get("recorder_extra")
    told = extra.get("skipped_frames") if isinstance(extra, dict) else None
    if not isinstance(told, dict):
        return None, 0
    skipped, total = told.get("skipped"), told.get("total")
    if isinstance(skipped, int) and isinstance(total, int) and 0 <= skipped <= total:
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


@check(version=1)
def has_duplicate_frames(session: Session) -> Twice:
    """Whether more than 5 % of the frames repeat the one before while the picture moves. A
    picture that stands still says nothing."""
    numbers, change = session.extracted.change
    moving = _moving(numbers, change)
    twice = moving & (change <= SAME)
    looked_at = int(moving.sum())
    share = float(twice.sum() / looked_at) if looked_at else 0.0
    return Twice(
        value=share > MOST_TWICE,
        share=round(share, 6),
        looked_at=looked_at,
        frames=[int(each) for each in numbers[twice][:10]],
    )


def _moving(numbers: "NDArray[np.int64]", change: "NDArray[np.float32]") -> "NDArray[np.bool_]":
    """Which frames have movement on both sides, within so many frames."""
    import numpy as np  # heavy

    moves = numbers[change >= MOVES]
    if not len(moves):
        return np.zeros(len(numbers), bool)
    after = np.searchsorted(moves, numbers, side="left")
    following = moves[np.minimum(after, len(moves) - 1)] - numbers
    before = numbers - moves[np.maximum(np.searchsorted(moves, numbers, side="right") - 1, 0)]
    is_near: NDArray[np.bool_] = (abs(following) <= WINDOW) & (abs(before) <= WINDOW)
    return is_near & (following >= 0) & (before >= 0)


@dataclass(frozen=True, kw_only=True)
class Length:
    """How long it is."""

    value: bool
    duration_ms: int


@check(version=1)
def is_length_unusual(session: Session) -> Length:
    """Whether it is shorter than 20 seconds or longer than 15 minutes."""
    ms = session.duration_ms
    return Length(value=not MIN_S * 1000 <= ms <= MAX_S * 1000, duration_ms=ms)


@dataclass(frozen=True, kw_only=True)
class Rate:
    """How many frames a second."""

    value: bool
    frames_per_second: float
    """From the first to the last frame, by their timestamps."""
    frames: int


@check(version=1)
def is_rate_low(session: Session) -> Rate:
    """Whether it has fewer than 54 frames a second."""
    pts = session.extracted.pts
    length = (int(pts[-1]) - int(pts[0])) * session.extracted.time_base
    rate = float((len(pts) - 1) / length) if length else 0.0
    return Rate(value=rate < MIN_RATE, frames_per_second=round(rate, 4), frames=len(pts))
