"""Menus: which stretches of a session show one, by what is on the screen and what was pressed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from filmgate.pipelines.gameplay.rules.inputs import KEYBOARD, Inputs, held
from filmgate.pipelines.gameplay.rules.pictures import STILL, Rectangle, changes, within

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Frame = NDArray[np.uint8]
    Frames = NDArray[np.uint8]
    Grey = NDArray[np.uint8]

FLAT = 5
"""Of 255: what a pixel's neighbours may differ by within a panel, which is drawn in one colour."""
ONE_COLOUR = 8
"""Of 255: between the 5th and the 95th of a hundred of its pixels."""
STRAIGHT = 0.8
"""The share of each side of its box that a panel reaches, and along which it stands out. Panels
came out at 0.99 and more; what looked most like one in a world of blocks, at 0.3."""
EDGE = 4
"""Of 255: the step at a side."""
MIN_AREA, MIN_SIDE = 0.02, 0.12
"""Of the picture: smaller panels are part of what is shown while one plays."""
MARGIN = 4
"""Pixels at a side in which the step is looked for."""
AT_SIDE = 2
"""Pixels: an area that ends so near to a side ends there."""

SAME_PANEL = 0.9
"""The overlap, as intersection over union, of a panel with itself."""

DIMMED = 0.8
ALIKE = 0.8
"""A picture is dimmed where it is that many times the one before, and correlates with it so."""

MOVING = 0.25
"""The share of a stretch in which the player walks; nobody does in a menu."""

TOGGLES = frozenset({9, 27, 66, 73, 74, 75, 76, 77, 79, 80})
"""Windows' codes of Tab, Esc, B, I, J, K, L, M, O and P: what games open menus with. E opens some,
but is what doors are opened with, too."""
WALKING = frozenset({37, 38, 39, 40, 65, 68, 83, 87})
"""Arrows, A, D, S and W."""
TOGGLED_MS = 1000
"""How long after the key a menu may need to show."""

LASTING = 3
"""Frames in a row that show the same."""

LINES = 4
"""Lines of text: more than what is told while one plays."""

PANEL, DIM, TOGGLED, TEXT = "panel", "dimmed", "toggled", "text"
STANDS, WALKS = "still", "walking"
WEIGHTS = {PANEL: 2, TEXT: 2, DIM: 1, TOGGLED: 1, STANDS: 1, WALKS: -3}
ENOUGH = 2
"""A panel is enough, or much text; or two of these: a picture that darkens, a key for menus just
before, a picture that stands still. Walking speaks against any of them."""

ReadLines = Callable[["Frame"], int]
"""How many lines of text are in a picture (3, h, w)."""


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """Frames that show one thing, from `first` to `last`, by their places in the series."""

    first: int
    last: int
    evidence: tuple[str, ...]

    @property
    def is_menu(self) -> bool:
        """Whether the evidence is enough."""
        return sum(WEIGHTS[each] for each in self.evidence) >= ENOUGH

    @property
    def places(self) -> range:
        """Of its frames."""
        return range(self.first, self.last + 1)


def panel(planes: "Frame") -> Rectangle | None:
    """The largest area of one colour with four straight sides; None where there is none.

    `planes`: (3, h, w). Connected areas of flat colour (OpenCV), held against their boxes: a panel
    fills its box to all four sides, and stands out along them.
    """
    import cv2  # heavy
    import numpy as np

    _, height, width = planes.shape
    kernel = np.ones((3, 3), np.uint8)
    whole = [np.ascontiguousarray(plane) for plane in planes]
    spreads = [cv2.subtract(cv2.dilate(each, kernel), cv2.erode(each, kernel)) for each in whole]
    flat = cv2.max(cv2.max(spreads[0], spreads[1]), spreads[2]) <= FLAT
    _, labels, stats, _ = cv2.connectedComponentsWithStats(flat.astype(np.uint8), connectivity=4)
    _, _, wide, high, area = np.asarray(stats).T
    is_large = (area >= MIN_AREA * width * height) & (wide >= MIN_SIDE * width)
    is_large &= high >= MIN_SIDE * height
    is_large[0] = False
    best: Rectangle | None = None
    for label in np.flatnonzero(is_large):
        x, y, w, h, _ = (int(each) for each in stats[label])
        own = labels[y : y + h, x : x + w] == label
        inner = _straight_sides(own)
        if inner is None:
            continue
        box = Rectangle(x + inner.left, y + inner.top, x + inner.right, y + inner.bottom)
        own = labels[box.top : box.bottom, box.left : box.right] == label
        if _stands_out(planes, box) and _is_one_colour(planes, box, own):
            best = box if best is None or box.area > best.area else best
    return best


def _is_one_colour(planes: "Frame", box: Rectangle, own: "NDArray[np.bool_]") -> bool:
    import numpy as np  # heavy

    pixels = planes[:, box.top : box.bottom, box.left : box.right][:, own]
    low, high = np.percentile(pixels, [5, 95], axis=1)
    return bool((high - low).max() <= ONE_COLOUR)


def _straight_sides(own: "NDArray[np.bool_]") -> Rectangle | None:
    """The rectangle whose four sides an area reaches along their length, and ends there; None
    where it has no such sides. Where it leaks out in a place or two, that does not count."""
    import numpy as np  # heavy

    sides = []
    for turned in (own, own[:, ::-1], own.T, own.T[:, ::-1]):
        ends = np.where(turned.any(axis=1), turned.argmax(axis=1), -MARGIN)
        sides.append((ends, round(float(np.median(ends[ends >= 0])))))
    (left, x0), (right, x1), (top, y0), (bottom, y1) = sides
    box = Rectangle(x0, y0, own.shape[1] - x1, own.shape[0] - y1)
    if box.width <= 0 or box.height <= 0:
        return None
    rows, columns = slice(box.top, box.bottom), slice(box.left, box.right)
    shares = (
        (abs(left[rows] - x0) <= AT_SIDE).mean(),
        (abs(right[rows] - x1) <= AT_SIDE).mean(),
        (abs(top[columns] - y0) <= AT_SIDE).mean(),
        (abs(bottom[columns] - y1) <= AT_SIDE).mean(),
    )
    return box if min(shares) >= STRAIGHT else None


def _stands_out(planes: "Frame", box: Rectangle) -> bool:
    """Whether there is a step along each of its sides, in any colour; none of them is a side of
    the picture itself."""
    import numpy as np  # heavy

    _, height, width = planes.shape
    is_inside = box.left >= MARGIN and box.top >= MARGIN
    if not is_inside or box.right > width - MARGIN or box.bottom > height - MARGIN:
        return False
    rows, columns = slice(box.top, box.bottom), slice(box.left, box.right)
    strips = (
        (planes[:, rows, box.left - MARGIN : box.left + 2], 2),
        (planes[:, rows, box.right - 2 : box.right + MARGIN], 2),
        (planes[:, box.top - MARGIN : box.top + 2, columns], 1),
        (planes[:, box.bottom - 2 : box.bottom + MARGIN, columns], 1),
    )
    return all(
        (np.abs(np.diff(strip.astype(np.int16), axis=axis)).max(axis=(0, axis)) >= EDGE).mean()
        >= STRAIGHT
        for strip, axis in strips
    )


def stretches(
    frames: "Frames",
    greys: "Grey",
    times_ms: Sequence[int],
    inputs: Inputs,
    lines_in: Callable[[int], int] | None = None,
) -> list[Stretch]:
    """All stretches of a series of frames (n, 3, h, w), in order. `greys`: (n, h, w), the same in
    brightness; `lines_in`: lines of text in the frame at a place."""
    moved = changes(greys)
    panels: list[Rectangle | None] = []
    for place, frame in enumerate(frames):
        is_same = place > 0 and float(moved[place - 1]) <= STILL
        panels.append(panels[-1] if is_same else panel(frame))
    starts = [0] + [
        place
        for place in range(1, len(greys))
        if not _goes_on(panels[place - 1], panels[place], float(moved[place - 1]))
    ]
    ends = [*(start - 1 for start in starts[1:]), len(greys) - 1]
    keys = [each for each in inputs.pressed if each.kind == KEYBOARD]
    toggles = [each.time_ms for each in keys if each.first in TOGGLES and each.second]
    walks = list(held(keys, WALKING, times_ms[-1]))
    found = []
    for first, last in zip(starts, ends, strict=True):
        told = _Told(greys, times_ms, toggles, walks, first, last)
        box = panels[first]
        is_new = box is not None and not told.was_there(box)
        evidence = [PANEL] if is_new else []
        evidence += [DIM] if told.is_dimmed() else []
        evidence += [TOGGLED] if told.is_toggled() else []
        evidence += [STANDS] if last - first + 1 >= LASTING else []
        evidence += [WALKS] if told.is_walking() else []
        if lines_in is not None and first < last and lines_in(first) >= LINES:
            evidence.append(TEXT)
        found.append(Stretch(first=first, last=last, evidence=tuple(evidence)))
    return found


def _goes_on(before: Rectangle | None, now: Rectangle | None, change: float) -> bool:
    """Whether a frame shows what the one before showed: the same panel, or the same picture."""
    if before is not None and now is not None:
        return _overlap(before, now) >= SAME_PANEL
    return (before is None) == (now is None) and change <= STILL


def _overlap(one: Rectangle, other: Rectangle) -> float:
    wide = min(one.right, other.right) - max(one.left, other.left)
    high = min(one.bottom, other.bottom) - max(one.top, other.top)
    both = max(0, wide) * max(0, high)
    return both / (one.area + other.area - both)


@dataclass(frozen=True)
class _Told:
    """What is asked of one stretch."""

    greys: "Grey"
    times_ms: Sequence[int]
    toggles: Sequence[int]
    """When keys that open menus went down."""
    walks: Sequence[tuple[int, int]]
    """When keys for walking were down."""
    first: int
    last: int

    def is_dimmed(self) -> bool:
        """Whether it begins as the picture before, only darker."""
        import numpy as np  # heavy

        if self.first == 0:
            return False
        before, now = (
            self.greys[place].astype(np.float64) for place in (self.first - 1, self.first)
        )
        if before.std() < 1 or now.std() < 1:
            return False
        alike = np.corrcoef(before.ravel(), now.ravel())[0, 1]
        return bool(alike >= ALIKE and now.mean() <= DIMMED * before.mean())

    def was_there(self, box: Rectangle) -> bool:
        """Whether a panel was there before, or stays there after: then it is part of what is
        shown while one plays. One that never comes or goes is so, where the rest moves."""
        import numpy as np  # heavy

        for inside, outside in ((self.first, self.first - 1), (self.last, self.last + 1)):
            if 0 <= outside < len(self.greys):
                both = within(self.greys[[inside, outside]], box).astype(np.int16)
                if np.median(np.abs(both[0] - both[1])) <= FLAT:
                    return True
        is_always = self.first == 0 and self.last == len(self.greys) - 1
        return is_always and bool(np.median(changes(self.greys)) > STILL)

    def is_toggled(self) -> bool:
        """Whether a key for menus went down just before it shows, or since the frame before."""
        if self.first == 0:
            return False
        since, until = self.times_ms[self.first - 1] - TOGGLED_MS, self.times_ms[self.first]
        return any(since <= each <= until for each in self.toggles)

    def is_walking(self) -> bool:
        """Whether keys for walking are down for much of it."""
        begin, end = self.times_ms[self.first], self.times_ms[self.last]
        if begin == end:
            return False
        walked = sum(max(0, min(until, end) - max(since, begin)) for since, until in self.walks)
        return walked >= MOVING * (end - begin)
