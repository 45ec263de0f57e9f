"""The time-base certificate: what the presentation timestamps of a video really are."""

import hashlib
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
    stamps = list(pts)
    if not stamps:
        raise ValueError("expected at least one frame, got none")
    steps = [after - before for before, after in pairwise(stamps)]
    if any(step <= 0 for step in steps):
        raise ValueError("expected timestamps that rise from frame to frame")
    average = (stamps[-1] - stamps[0]) // len(steps) if steps else 1
    text = "".join(f"{stamp}\n" for stamp in stamps)
    return TimeBaseCertificate(
        time_base=time_base,
        frame_count=len(stamps),
        first_pts=stamps[0],
        last_pts=stamps[-1],
        end_pts=stamps[-1] + (last_duration or average),
        shortest_frame=min(steps, default=0),
        longest_frame=max(steps, default=0),
        is_variable_rate=_strays_from_grid(stamps),
        pts_sha256=hashlib.sha256(text.encode()).hexdigest(),
    )


def _strays_from_grid(stamps: list[int]) -> bool:
    """Whether a stamp is more than a tick away from where an even rate would put it.

    One tick is what rounding to a coarse time base (1/1000 in WebM) does to an even rate.
    """
    first, intervals = stamps[0], len(stamps) - 1
    length = stamps[-1] - first
    return any(
        abs((stamp - first) * intervals - index * length) > intervals
        for index, stamp in enumerate(stamps)
    )
