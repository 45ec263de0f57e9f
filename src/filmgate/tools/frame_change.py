"""Measuring how much the picture changes from frame to frame, with OpenCV."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from filmgate.media.change import FrameChanges

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

THUMBNAIL = (64, 36)
"""Width and height of what is kept of a frame to see whether an old picture comes back."""

LEAST_STEP = 0.5
"""Grey levels; keeps the bridge of two equal pictures finite."""

RED, GREEN, BLUE = 0.299, 0.587, 0.114
"""Weights of luma, ITU-R BT.601."""


@dataclass
class ChangeMeter:
    """Measures frames as they come, remembering thumbnails of the last moments only."""

    great: float
    """The content change from which the bridge is measured."""
    flash_ms: int
    """How far before and after a great change the bridge looks."""
    changes: FrameChanges = field(default_factory=FrameChanges)
    _recent: "deque[tuple[int, NDArray[np.uint8]]]" = field(default_factory=deque)
    _open: "list[tuple[int, NDArray[np.uint8], float]]" = field(default_factory=list)
    """Great changes still being bridged: (entry, the picture before, its step)."""
    _before: "tuple[NDArray[np.uint8], NDArray[np.uint8]] | None" = None

    def measure(self, number: int, ms: int, picture: "NDArray[np.uint8]") -> None:
        """Add a frame: (h, w, 3) uint8, blue green red, all of one size."""
        import cv2  # heavy

        hsv: Any = cv2.cvtColor(picture, cv2.COLOR_BGR2HSV)
        thumbnail: Any = cv2.resize(picture, THUMBNAIL, interpolation=cv2.INTER_AREA)
        content = step = 0.0
        if self._before is not None:
            hue, saturation, value = cv2.mean(cv2.absdiff(hsv, self._before[1]))[:3]
            content = max((hue + saturation + value) / 3, value)
            step = _difference(picture, self._before[0])
        self._bridge_open(ms, thumbnail)
        bridge = self._bridge_back(thumbnail) if content >= self.great else 1.0
        blue, green, red = cv2.mean(thumbnail)[:3]
        self.changes.number.append(number)
        self.changes.ms.append(ms)
        self.changes.content.append(content)
        self.changes.step.append(step)
        self.changes.bridge.append(bridge)
        self.changes.luma.append(BLUE * blue + GREEN * green + RED * red)
        self._before = (picture, hsv)
        self._recent.append((ms, thumbnail))
        while len(self._recent) > 1 and ms - self._recent[0][0] > 2 * self.flash_ms:
            self._recent.popleft()

    def _bridge_open(self, ms: int, thumbnail: "NDArray[np.uint8]") -> None:
        """See whether a picture from before a recent change is back."""
        times, bridges = self.changes.ms, self.changes.bridge
        self._open = [entry for entry in self._open if ms - times[entry[0]] <= self.flash_ms]
        for index, picture, step in self._open:
            bridges[index] = min(bridges[index], _difference(picture, thumbnail) / step)

    def _bridge_back(self, thumbnail: "NDArray[np.uint8]") -> float:
        """Open a great change, and see whether it leads back to a picture from before."""
        earlier = list(self._recent)
        last_ms, last = earlier.pop()
        step = max(_difference(last, thumbnail), LEAST_STEP)
        self._open.append((len(self.changes.ms), last, step))
        near = [picture for at, picture in earlier if last_ms - at <= self.flash_ms]
        return min([1.0, *(_difference(picture, thumbnail) / step for picture in near)])


def measure_changes(
    pictures: "Iterable[tuple[int, int, NDArray[np.uint8]]]", *, great: float, flash_ms: int
) -> FrameChanges:
    """Measure (frame number, ms, picture) after (frame number, ms, picture)."""
    meter = ChangeMeter(great=great, flash_ms=flash_ms)
    for number, ms, picture in pictures:
        meter.measure(number, ms, picture)
    return meter.changes


def _difference(one: "NDArray[np.uint8]", other: "NDArray[np.uint8]") -> float:
    """Mean absolute difference of all values, 0–255."""
    import cv2  # heavy

    return float(cv2.norm(one, other, cv2.NORM_L1)) / one.size
