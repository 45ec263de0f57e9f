"""Measure how much the picture changes from frame to frame, with OpenCV."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from filmgate.media.change import FrameChanges

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

THUMBNAIL = (64, 36)
"""Width and height of thumbnails, which are compared to detect that an earlier picture returns."""

MIN_STEP = 0.5
"""Minimum change by which a bridge (see `FrameChanges.bridge`) is divided, in grey levels: it stays
finite if two pictures are equal."""

RED, GREEN, BLUE = 0.299, 0.587, 0.114
"""Weights of the luma, ITU-R BT.601."""


@dataclass
class ChangeMeter:
    """Measures frames one by one; only thumbnails of the last 2 × `flash_ms` are in memory.

    A frame's bridge distinguishes flashes from cuts; `FrameChanges.bridge` defines it.
    """

    min_content: float
    """Minimum content change of a frame whose bridge is measured."""
    flash_ms: int
    """Longest time before and after a large change in which pictures are compared, in
    milliseconds."""
    changes: FrameChanges = field(default_factory=FrameChanges)
    _recent: "deque[tuple[int, NDArray[np.uint8]]]" = field(default_factory=deque)
    _open: "list[tuple[int, NDArray[np.uint8], float]]" = field(default_factory=list)
    """Large changes of the last `flash_ms`: (index in `changes`, thumbnail before the change,
    difference between that thumbnail and the one after the change)."""
    _previous: "tuple[NDArray[np.uint8], NDArray[np.uint8]] | None" = None
    """The preceding frame, as BGR and as HSV."""

    def measure(self, number: int, ms: int, picture: "NDArray[np.uint8]") -> None:
        """Add a frame: (h, w, 3) uint8, blue green red. All frames have the same size."""
        import cv2  # slow to import
        import numpy as np

        hsv = np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2HSV), np.uint8)
        small = cv2.resize(picture, THUMBNAIL, interpolation=cv2.INTER_AREA)
        thumbnail = np.asarray(small, np.uint8)
        content = step = 0.0
        if self._previous is not None:
            hue, saturation, value = cv2.mean(cv2.absdiff(hsv, self._previous[1]))[:3]
            content = max((hue + saturation + value) / 3, value)
            step = _difference(picture, self._previous[0])
        self._update_open_bridges(ms, thumbnail)
        bridge = self._measure_bridge(thumbnail) if content >= self.min_content else 1.0
        blue, green, red = cv2.mean(thumbnail)[:3]
        self.changes.number.append(number)
        self.changes.ms.append(ms)
        self.changes.content.append(content)
        self.changes.step.append(step)
        self.changes.bridge.append(bridge)
        self.changes.luma.append(BLUE * blue + GREEN * green + RED * red)
        self._previous = (picture, hsv)
        self._recent.append((ms, thumbnail))
        while len(self._recent) > 1 and ms - self._recent[0][0] > 2 * self.flash_ms:
            self._recent.popleft()

    def _update_open_bridges(self, ms: int, thumbnail: "NDArray[np.uint8]") -> None:
        """Lower the bridge of recent changes if the picture from before them has returned."""
        times, bridges = self.changes.ms, self.changes.bridge
        self._open = [entry for entry in self._open if ms - times[entry[0]] <= self.flash_ms]
        for index, picture, step in self._open:
            bridges[index] = min(bridges[index], _difference(picture, thumbnail) / step)

    def _measure_bridge(self, thumbnail: "NDArray[np.uint8]") -> float:
        """Start to measure the bridge of a large change; return its value so far, which is
        computed from the earlier pictures only."""
        earlier = list(self._recent)
        last_ms, last = earlier.pop()
        step = max(_difference(last, thumbnail), MIN_STEP)
        self._open.append((len(self.changes.ms), last, step))
        near = [picture for time_ms, picture in earlier if last_ms - time_ms <= self.flash_ms]
        return min([1.0, *(_difference(picture, thumbnail) / step for picture in near)])


def measure_changes(
    pictures: "Iterable[tuple[int, int, NDArray[np.uint8]]]", *, min_content: float, flash_ms: int
) -> FrameChanges:
    """Measure a sequence of (frame number, time in ms, picture)."""
    meter = ChangeMeter(min_content=min_content, flash_ms=flash_ms)
    for number, ms, picture in pictures:
        meter.measure(number, ms, picture)
    return meter.changes


def _difference(one: "NDArray[np.uint8]", other: "NDArray[np.uint8]") -> float:
    """Return the mean absolute difference of all values, 0 to 255."""
    import cv2  # slow to import

    return float(cv2.norm(one, other, cv2.NORM_L1)) / one.size
