"""The time-base certificate: what the presentation timestamps of a video really are."""

import hashlib
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise


@dataclass(frozen=True, kw_only=True)
class TimeBaseCertificate:
    """What was found by decoding every frame. Ticks are of `time_base` seconds."""

    time_base: Fraction
    frame_count: int
    first_pts: int
    last_pts: int
    end_pts: int
    """Where the last frame stops being shown."""
    shortest_frame: int
    """The smallest step between two timestamps, in ticks; 0 for a single frame."""
    longest_frame: int
    is_variable_rate: bool
    """Whether some frame lies more than one tick off an even grid from the first to the last."""
    pts_sha256: str
    """Of the timestamps as decimal text, one a line: a name for this exact time line."""

    @property
    def average_rate(self) -> Fraction | None:
        """Frames a second from the first frame to the last; None for a single frame."""
        if self.last_pts == self.first_pts:
            return None
        return (self.frame_count - 1) / ((self.last_pts - self.first_pts) * self.time_base)


def certify(
    pts: Iterable[int], *, time_base: Fraction, last_duration: int | None
) -> TimeBaseCertificate:
    """Certify timestamps in order of presentation.

    `last_duration`: ticks that the last frame says it lasts; where it does not say, it is
    taken to last as long as the average frame (one tick for a single frame).
    Raises ValueError without a frame, or where timestamps do not rise.
    """
    stamps = array("q", pts)
    if not stamps:
        raise ValueError("expected at least one frame, got none")
    shortest, longest = _steps(stamps)
    if len(stamps) > 1 and shortest <= 0:
        raise ValueError("expected timestamps that rise from frame to frame")
    average = (stamps[-1] - stamps[0]) // (len(stamps) - 1) if len(stamps) > 1 else 1
    name = hashlib.sha256()
    for stamp in stamps:
        name.update(b"%d\n" % stamp)
    return TimeBaseCertificate(
        time_base=time_base,
        frame_count=len(stamps),
        first_pts=stamps[0],
        last_pts=stamps[-1],
        end_pts=stamps[-1] + (last_duration or average),
        shortest_frame=shortest,
        longest_frame=longest,
        is_variable_rate=_strays_from_grid(stamps),
        pts_sha256=name.hexdigest(),
    )


def _steps(stamps: "array[int]") -> tuple[int, int]:
    """The smallest and the largest step; zeros for a single frame."""
    smallest = largest = None
    for before, after in pairwise(stamps):
        step = after - before
        smallest = step if smallest is None else min(smallest, step)
        largest = step if largest is None else max(largest, step)
    return smallest or 0, largest or 0


def _strays_from_grid(stamps: "array[int]") -> bool:
    """Whether a stamp is more than a tick away from where an even rate would put it.

    One tick is what rounding to a coarse time base (1/1000 in WebM) does to an even rate.
    """
    first, intervals = stamps[0], len(stamps) - 1
    length = stamps[-1] - first
    return any(
        abs((stamp - first) * intervals - index * length) > intervals
        for index, stamp in enumerate(stamps)
    )
