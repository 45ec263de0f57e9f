"""Menu detection: which stretches of a session show a menu, by the picture and the inputs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from filmgate.pipelines.gameplay.rules.inputs import KEYBOARD, InputLog, held_spans
from filmgate.pipelines.gameplay.rules.pictures import (
    MAX_STILL_CHANGE,
    Rectangle,
    crop,
    measure_changes,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Frame = NDArray[np.uint8]
    Frames = NDArray[np.uint8]
    Grey = NDArray[np.uint8]

MAX_FLAT_STEP = 5
"""Maximum difference of neighbouring pixels within a panel, 0 to 255; panels have one colour."""
MAX_COLOUR_SPREAD = 8
"""Maximum difference between the 5th and the 95th percentile of a panel's pixels, 0 to 255."""
MIN_SIDE_COVERAGE = 0.8
"""Minimum share of each side of its bounding box that a panel touches, and along which it has an
edge. Measured: panels have 0.99 and more; the most panel-like area in a game world of blocks has
0.3."""
MIN_EDGE_STEP = 4
"""Minimum step in colour at a side of a panel, 0 to 255."""
MIN_AREA, MIN_SIDE = 0.02, 0.12
"""Minimum area, and minimum width and height, of a panel, as shares of those of the picture.
Smaller panels are also shown during play."""
MARGIN = 4
"""Width of the strip at a side in which the edge is searched, in pixels."""
SIDE_TOLERANCE = 2
"""Maximum distance, in pixels, from a panel to a side of its box that it counts as touching."""

MIN_PANEL_IOU = 0.9
"""Minimum overlap (intersection over union) of the same panel in two frames."""

MAX_DIMMED_RATIO = 0.8
MIN_CORRELATION = 0.8
"""A picture is dimmed if its brightness is at most the first value times that of the picture
before, and its correlation with that picture is at least the second value."""

MIN_WALKING_SHARE = 0.25
"""Minimum share of a stretch during which walking keys are down, for it to count as walking;
players do not walk in menus."""

MENU_KEYS = frozenset({9, 27, 66, 73, 74, 75, 76, 77, 79, 80})
"""Windows key codes with which games open menus: Tab, Esc, B, I, J, K, L, M, O and P. E opens
some menus, but also doors."""
WALKING_KEYS = frozenset({37, 38, 39, 40, 65, 68, 83, 87})
"""Windows key codes for walking: the arrows, A, D, S and W."""
TOGGLED_MS = 1000
"""Maximum time from pressing a menu key to the appearance of the menu."""

MIN_STATIC_FRAMES = 3
"""Minimum number of frames of a stretch that counts as a static picture."""

MIN_TEXT_LINES = 4
"""Minimum number of lines of text in a menu; during play, fewer are shown."""

PANEL, DIM, TOGGLED, TEXT = "panel", "dimmed", "toggled", "text"
STATIC, WALKING = "still", "walking"
WEIGHTS = {PANEL: 2, TEXT: 2, DIM: 1, TOGGLED: 1, STATIC: 1, WALKING: -3}
MIN_WEIGHT = 2
"""Minimum sum of the weights of the evidence for a menu. A panel or much text is sufficient; so are
two of these: a picture that darkens, a menu key shortly before, a static picture. Walking is
evidence against a menu."""

ReadLines = Callable[["Frame"], int]
"""Counts the lines of text in a picture, (3, h, w)."""


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """Consecutive frames with the same view, from index `first` to `last` of the series."""

    first: int
    last: int
    evidence: tuple[str, ...]

    @property
    def is_menu(self) -> bool:
        """Whether the evidence is sufficient for a menu."""
        return sum(WEIGHTS[kind] for kind in self.evidence) >= MIN_WEIGHT

    @property
    def indices(self) -> range:
        """Indices of its frames in the series."""
        return range(self.first, self.last + 1)


def find_panel(planes: "Frame") -> Rectangle | None:
    """Find the largest panel, which is an area of one colour with four straight sides, or None.

    `planes`: (3, h, w). Compares connected areas of flat colour (OpenCV) with their boxes: a panel
    fills its box to all four sides and has an edge along each.
    """
    import cv2  # slow to import
    import numpy as np

    _, height, width = planes.shape
    kernel = np.ones((3, 3), np.uint8)
    whole = [np.ascontiguousarray(plane) for plane in planes]
    spreads = [cv2.subtract(cv2.dilate(p, kernel), cv2.erode(p, kernel)) for p in whole]
    flat = cv2.max(cv2.max(spreads[0], spreads[1]), spreads[2]) <= MAX_FLAT_STEP
    _, labels, stats, _ = cv2.connectedComponentsWithStats(flat.astype(np.uint8), connectivity=4)
    _, _, wide, high, area = np.asarray(stats).T
    is_large = (area >= MIN_AREA * width * height) & (wide >= MIN_SIDE * width)
    is_large &= high >= MIN_SIDE * height
    is_large[0] = False
    best: Rectangle | None = None
    for label in np.flatnonzero(is_large):
        x, y, w, h, _ = (int(value) for value in stats[label])
        mask = labels[y : y + h, x : x + w] == label
        inner = _straight_sides(mask)
        if inner is None:
            continue
        box = Rectangle(x + inner.left, y + inner.top, x + inner.right, y + inner.bottom)
        mask = labels[box.top : box.bottom, box.left : box.right] == label
        if _has_edges(planes, box) and _is_one_colour(planes, box, mask):
            best = box if best is None or box.area > best.area else best
    return best


def _is_one_colour(planes: "Frame", box: Rectangle, mask: "NDArray[np.bool_]") -> bool:
    import numpy as np  # slow to import

    pixels = planes[:, box.top : box.bottom, box.left : box.right][:, mask]
    low, high = np.percentile(pixels, [5, 95], axis=1)
    return bool((high - low).max() <= MAX_COLOUR_SPREAD)


def _straight_sides(mask: "NDArray[np.bool_]") -> Rectangle | None:
    """Find the rectangle whose four sides an area touches along most of their length, or None.

    Small parts of the area beyond a side are ignored.
    """
    import numpy as np  # slow to import

    sides = []
    for turned in (mask, mask[:, ::-1], mask.T, mask.T[:, ::-1]):
        ends = np.where(turned.any(axis=1), turned.argmax(axis=1), -MARGIN)
        sides.append((ends, round(float(np.median(ends[ends >= 0])))))
    (left, x0), (right, x1), (top, y0), (bottom, y1) = sides
    box = Rectangle(x0, y0, mask.shape[1] - x1, mask.shape[0] - y1)
    if box.width <= 0 or box.height <= 0:
        return None
    rows, columns = slice(box.top, box.bottom), slice(box.left, box.right)
    shares = (
        (abs(left[rows] - x0) <= SIDE_TOLERANCE).mean(),
        (abs(right[rows] - x1) <= SIDE_TOLERANCE).mean(),
        (abs(top[columns] - y0) <= SIDE_TOLERANCE).mean(),
        (abs(bottom[columns] - y1) <= SIDE_TOLERANCE).mean(),
    )
    return box if min(shares) >= MIN_SIDE_COVERAGE else None


def _has_edges(planes: "Frame", box: Rectangle) -> bool:
    """Whether each side of the box has an edge, and none is at the border of the picture.

    An edge in one colour plane is sufficient.
    """
    import numpy as np  # slow to import

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
        (
            np.abs(np.diff(strip.astype(np.int16), axis=axis)).max(axis=(0, axis)) >= MIN_EDGE_STEP
        ).mean()
        >= MIN_SIDE_COVERAGE
        for strip, axis in strips
    )


def find_stretches(
    frames: "Frames",
    greys: "Grey",
    times_ms: Sequence[int],
    inputs: InputLog,
    count_lines: Callable[[int], int] | None = None,
) -> list[Stretch]:
    """Find the stretches of a series of frames, (n, 3, h, w), ordered by time.

    `greys`: (n, h, w), the brightness of the frames. `count_lines`: counts the lines of text in
    the frame at an index.
    """
    changes = measure_changes(greys)
    panels: list[Rectangle | None] = []
    for index, frame in enumerate(frames):
        is_same = index > 0 and float(changes[index - 1]) <= MAX_STILL_CHANGE
        panels.append(panels[-1] if is_same else find_panel(frame))
    starts = [0] + [
        index
        for index in range(1, len(greys))
        if not _shows_same(panels[index - 1], panels[index], float(changes[index - 1]))
    ]
    ends = [*(start - 1 for start in starts[1:]), len(greys) - 1]
    keys = [event for event in inputs.pressed if event.kind == KEYBOARD]
    toggles = [event.time_ms for event in keys if event.first in MENU_KEYS and event.second]
    walks = list(held_spans(keys, WALKING_KEYS, times_ms[-1]))
    found = []
    for first, last in zip(starts, ends, strict=True):
        facts = _StretchFacts(greys, times_ms, toggles, walks, first, last)
        box = panels[first]
        is_new = box is not None and not facts.is_persistent(box)
        evidence = [PANEL] if is_new else []
        evidence += [DIM] if facts.is_dimmed() else []
        evidence += [TOGGLED] if facts.is_toggled() else []
        evidence += [STATIC] if last - first + 1 >= MIN_STATIC_FRAMES else []
        evidence += [WALKING] if facts.is_walking() else []
        if count_lines is not None and first < last and count_lines(first) >= MIN_TEXT_LINES:
            evidence.append(TEXT)
        found.append(Stretch(first=first, last=last, evidence=tuple(evidence)))
    return found


def _shows_same(before: Rectangle | None, now: Rectangle | None, change: float) -> bool:
    """Whether a frame shows the same panel or the same picture as the one before."""
    if before is not None and now is not None:
        return _overlap(before, now) >= MIN_PANEL_IOU
    return (before is None) == (now is None) and change <= MAX_STILL_CHANGE


def _overlap(one: Rectangle, other: Rectangle) -> float:
    wide = min(one.right, other.right) - max(one.left, other.left)
    high = min(one.bottom, other.bottom) - max(one.top, other.top)
    both = max(0, wide) * max(0, high)
    return both / (one.area + other.area - both)


@dataclass(frozen=True)
class _StretchFacts:
    """The inputs and pictures of one stretch, and the evidence in them."""

    greys: "Grey"
    times_ms: Sequence[int]
    toggles: Sequence[int]
    """Times in ms at which menu keys went down."""
    walks: Sequence[tuple[int, int]]
    """Spans, (from, to) in ms, in which walking keys were down."""
    first: int
    last: int

    def is_dimmed(self) -> bool:
        """Whether the first picture is a darker version of the picture before the stretch."""
        import numpy as np  # slow to import

        if self.first == 0:
            return False
        before, now = (
            self.greys[index].astype(np.float64) for index in (self.first - 1, self.first)
        )
        if before.std() < 1 or now.std() < 1:
            return False
        correlation = np.corrcoef(before.ravel(), now.ravel())[0, 1]
        return bool(
            correlation >= MIN_CORRELATION and now.mean() <= MAX_DIMMED_RATIO * before.mean()
        )

    def is_persistent(self, box: Rectangle) -> bool:
        """Whether a panel is also shown during play, so that it is not a menu.

        This is the case if the panel is already visible before the stretch, or still visible after
        it, or if it is visible in the whole series while the rest of the picture moves.
        """
        import numpy as np  # slow to import

        for inside, outside in ((self.first, self.first - 1), (self.last, self.last + 1)):
            if 0 <= outside < len(self.greys):
                both = crop(self.greys[[inside, outside]], box).astype(np.int16)
                if np.median(np.abs(both[0] - both[1])) <= MAX_FLAT_STEP:
                    return True
        is_always = self.first == 0 and self.last == len(self.greys) - 1
        return is_always and bool(np.median(measure_changes(self.greys)) > MAX_STILL_CHANGE)

    def is_toggled(self) -> bool:
        """Whether a menu key was pressed shortly before the first frame of the stretch."""
        if self.first == 0:
            return False
        since, until = self.times_ms[self.first - 1] - TOGGLED_MS, self.times_ms[self.first]
        return any(since <= toggle <= until for toggle in self.toggles)

    def is_walking(self) -> bool:
        """Whether walking keys are down for much of the stretch."""
        begin, end = self.times_ms[self.first], self.times_ms[self.last]
        if begin == end:
            return False
        walked = sum(max(0, min(until, end) - max(since, begin)) for since, until in self.walks)
        return walked >= MIN_WALKING_SHARE * (end - begin)
