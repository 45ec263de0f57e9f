"""The time-base certificate: measured properties of a video's presentation timestamps."""

import hashlib
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise


@dataclass(frozen=True, kw_only=True)
class TimeBaseCertificate:
    """Properties measured by decoding every frame. One tick is `time_base` seconds."""

    time_base: Fraction
    frame_count: int
    first_pts: int
    last_pts: int
    end_pts: int
    """End of the last frame's display, in ticks."""
    shortest_frame: int
    """Smallest step between consecutive timestamps, in ticks; 0 for a single frame."""
    longest_frame: int
    """Largest step between consecutive timestamps, in ticks; 0 for a single frame."""
    is_variable_rate: bool
    """Whether a frame is more than one tick off an even grid from the first to the last frame."""
    pts_sha256: str
    """SHA-256 of the timestamps as decimal text, one per line; identifies this exact time line."""

    @property
    def average_rate(self) -> Fraction | None:
        """Frames per second from the first frame to the last; None for a single frame."""
        if self.last_pts == self.first_pts:
            return None
        return (self.frame_count - 1) / ((self.last_pts - self.first_pts) * self.time_base)


def certify(
    pts: Iterable[int], *, time_base: Fraction, last_duration: int | None
) -> TimeBaseCertificate:
    """Certify timestamps in presentation order.

    `last_duration`: declared duration of the last frame, in ticks; if it is None, the average frame
    duration is used (one tick for a single frame). Raises ValueError without a frame, or if the
    timestamps do not increase.
    """
    stamps = array("q", pts)
    if not stamps:
        raise ValueError("timestamps are missing: expected at least one frame, got none")
    shortest, longest = _steps(stamps)
    if len(stamps) > 1 and shortest <= 0:
        raise ValueError("timestamps are invalid: expected an increase from frame to frame")
    average = (stamps[-1] - stamps[0]) // (len(stamps) - 1) if len(stamps) > 1 else 1
    hasher = hashlib.sha256()
    for stamp in stamps:
        hasher.update(b"%d\n" % stamp)
    return TimeBaseCertificate(
        time_base=time_base,
        frame_count=len(stamps),
        first_pts=stamps[0],
        last_pts=stamps[-1],
        end_pts=stamps[-1] + (last_duration or average),
        shortest_frame=shortest,
        longest_frame=longest,
        is_variable_rate=_is_off_grid(stamps),
        pts_sha256=hasher.hexdigest(),
    )


def _steps(stamps: "array[int]") -> tuple[int, int]:
    """Smallest and largest step between consecutive timestamps, in ticks; 0, 0 for one frame."""
    smallest = largest = None
    for before, after in pairwise(stamps):
        step = after - before
        smallest = step if smallest is None else min(smallest, step)
        largest = step if largest is None else max(largest, step)
    return smallest or 0, largest or 0


def _is_off_grid(stamps: "array[int]") -> bool:
    """Whether a timestamp is more than one tick away from an even frame rate.

    Rounding an even rate to a coarse time base (1/1000 in WebM) shifts timestamps by one tick.
    """
    first, intervals = stamps[0], len(stamps) - 1
    length = stamps[-1] - first
    return any(
        abs((stamp - first) * intervals - index * length) > intervals
        for index, stamp in enumerate(stamps)
    )
