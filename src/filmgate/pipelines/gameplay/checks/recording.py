"""Checks of the recording: missing frames, duplicate frames, length and frame rate."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import JsonValue

from filmgate.pipelines.gameplay.check_registry import check
from filmgate.pipelines.gameplay.session import GameSession

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MAX_DROPPED_SHARE = 0.05
"""Maximum share of missing frames; the recorder's own client has the same limit."""
MAX_DUPLICATE_SHARE = 0.6
"""Maximum share of frames that repeat the preceding frame while something moves. Games that draw 30
times a second repeat every other frame of 60, which is acceptable. With more repeats than this,
fewer than 24 new pictures a second remain, the minimum that film uses for motion."""
MIN_S, MAX_S = 20.0, 900.0
"""Minimum and maximum length, in seconds; the recorder's own client has the same limits."""
MIN_RATE = 54.0
"""Minimum frame rate, in frames per second, for a nominal rate of 60; the recorder's own client has
the same limit."""

MIN_REGULAR_SHARE = 0.8
"""Minimum share of regular steps between timestamps in a recording with a constant rate."""
GAP_FACTOR = 1.5
"""A step longer than this multiple of the usual step is a gap with missing frames."""
SAME_FACTOR = 0.05
"""A frame that changes less than this multiple of the movement around it repeats the preceding one.
Measured: on a 60 fps recording of a game that drew fewer frames, repeated frames changed by 0.003
to 0.02 times as much as the frames around them."""
MIN_MOVEMENT = 1.0
"""Minimum mean change that counts as movement, 0 to 255; with less, repeated frames cannot be
detected."""
WINDOW_FRAMES = 12
"""Number of frames before and after a frame in which there must be movement."""


@dataclass(frozen=True, kw_only=True)
class DroppedFrames:
    """Whether frames are missing."""

    value: bool
    share: float
    """Share of missing frames: by the timestamps or by the recorder's count, whichever is
    greater."""
    gaps: int
    """Number of gaps in the timestamps."""
    longest_gap_ms: int
    skipped: int | None
    """Number of frames that the recorder reports as skipped; None if it reports nothing."""
    after_frames: list[int]
    """Numbers of the frames before the first ten gaps."""
    severity: float
    """Severity, 0 to 1; reports list the most severe sessions first."""


@check(version=1)
def has_dropped_frames(session: GameSession) -> DroppedFrames:
    """Check whether more than 5 % of the frames are missing.

    Missing frames are counted by gaps in the timestamps, and by the recorder; the greater share is
    used. Gaps are ignored in a recording with a variable rate.
    """
    import numpy as np  # slow to import

    steps = np.diff(session.extracted.pts)
    usual_step = float(np.median(steps)) if len(steps) else 0.0
    regular_share = float((abs(steps - usual_step) <= 1).mean()) if usual_step else 0.0
    is_regular = regular_share >= MIN_REGULAR_SHARE
    gaps = np.flatnonzero(steps > GAP_FACTOR * usual_step) if is_regular else np.zeros(0, np.int64)
    missing = int(np.round(steps[gaps] / usual_step - 1).sum()) if len(gaps) else 0
    by_time = missing / (len(session.extracted.pts) + missing)
    skipped, total = _reported_skips(session.extracted.session_metadata)
    share = max(by_time, skipped / total if skipped is not None and total else 0.0)
    longest = int(steps.max()) if len(steps) else 0
    return DroppedFrames(
        value=share > MAX_DROPPED_SHARE,
        share=round(share, 6),
        gaps=len(gaps),
        longest_gap_ms=round(float(longest * session.extracted.time_base * 1000)),
        skipped=skipped,
        after_frames=[int(number) for number in gaps[:10]],
        severity=round(share, 4),
    )


def _reported_skips(metadata: Mapping[str, JsonValue]) -> tuple[int | None, int]:
    """Read the recorder's own count: (skipped frames or None, all frames)."""
    extra = metadata.get("recorder_extra")
    reported = extra.get("skipped_frames") if isinstance(extra, dict) else None
    if not isinstance(reported, dict):
        return None, 0
    skipped, total = reported.get("skipped"), reported.get("total")
    if type(skipped) is int and type(total) is int and 0 <= skipped <= total < 1 << 53:
        return skipped, total
    return None, 0


@dataclass(frozen=True, kw_only=True)
class DuplicateFrames:
    """Whether frames are repeated while something moves."""

    value: bool
    share: float
    """Share of the examined frames that repeat the preceding one."""
    looked_at: int
    """Number of examined frames: those whose preceding frame was also decoded, with movement around
    them."""
    frames: list[int]
    """Numbers of the first ten frames that repeat the preceding one."""
    severity: float
    """Severity, 0 to 1; reports list the most severe sessions first."""


@check(version=1)
def has_duplicate_frames(session: GameSession) -> DuplicateFrames:
    """Check whether more than 60 % of the frames repeat the preceding one while the picture moves.

    Frames without movement around them are not counted.
    """
    numbers, change = session.extracted.change
    around = _movement_around(numbers, change)
    moving = around >= MIN_MOVEMENT
    duplicates = moving & (change <= SAME_FACTOR * around)
    looked_at = int(moving.sum())
    share = float(duplicates.sum() / looked_at) if looked_at else 0.0
    return DuplicateFrames(
        value=share > MAX_DUPLICATE_SHARE,
        share=round(share, 6),
        looked_at=looked_at,
        frames=[int(number) for number in numbers[duplicates][:10]],
        severity=round(share, 4),
    )


def _movement_around(
    numbers: "NDArray[np.int64]", change: "NDArray[np.float32]"
) -> "NDArray[np.float32]":
    """Measure the movement around each frame.

    It is the largest change shortly before the frame or the largest shortly after it, whichever is
    smaller.
    """
    import numpy as np  # slow to import

    if not len(numbers):
        return change
    first = int(numbers[0])
    line = np.zeros(int(numbers[-1]) - first + 1 + 2 * WINDOW_FRAMES, np.float32)
    line[numbers - first + WINDOW_FRAMES] = change
    windows = np.lib.stride_tricks.sliding_window_view(line, WINDOW_FRAMES).max(axis=1)
    index = numbers - first + WINDOW_FRAMES
    around: NDArray[np.float32] = np.minimum(windows[index - WINDOW_FRAMES], windows[index + 1])
    return around


@dataclass(frozen=True, kw_only=True)
class Length:
    """Whether the length is unusual."""

    value: bool
    duration_ms: int
    severity: float
    """Severity, 0 to 1; reports list the most severe sessions first."""


@check(version=1)
def is_length_unusual(session: GameSession) -> Length:
    """Check whether the video is shorter than 20 seconds or longer than 15 minutes."""
    ms = session.duration_ms
    inside = min(1.0, ms / (MIN_S * 1000), MAX_S * 1000 / max(1, ms))
    return Length(value=inside < 1, duration_ms=ms, severity=round(1 - inside, 4))


@dataclass(frozen=True, kw_only=True)
class Rate:
    """Whether the frame rate is low."""

    value: bool
    frames_per_second: float
    """Mean rate from the first to the last frame, by their timestamps."""
    frames: int
    """Number of frames."""
    severity: float
    """Severity, 0 to 1; reports list the most severe sessions first."""


@check(version=1)
def is_rate_low(session: GameSession) -> Rate:
    """Check whether the video has fewer than 54 frames per second."""
    pts = session.extracted.pts
    length = (int(pts[-1]) - int(pts[0])) * session.extracted.time_base
    rate = float((len(pts) - 1) / length) if length else 0.0
    return Rate(
        value=rate < MIN_RATE,
        frames_per_second=round(rate, 4),
        frames=len(pts),
        severity=round(max(0.0, 1 - rate / MIN_RATE), 4),
    )
