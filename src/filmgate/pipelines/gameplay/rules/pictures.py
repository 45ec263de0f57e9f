"""Measurements on series of frames: brightness, the rectangle with content, change."""

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Frames = NDArray[np.uint8]
    Grey = NDArray[np.uint8]

BLACK = 16
"""Brightness, 0 to 255, from which a pixel is lit. Video defines black as 16 in its own range of
0 to 255; after coding and scaling, black bars have up to about 10."""

MAX_STILL_CHANGE = 2.0
"""Maximum change of the mean of a block of 16 × 16 pixels in a still picture, 0 to 255. Measured:
in a recording of a frozen capture, coding alone changed no block by more than 1.0; the smallest
movement of a player standing in a field changed one by 18."""

BLOCK = 16
"""Side of a block, in pixels."""
MIN_LIT_FRAMES = 0.1
"""Minimum share of frames in which a pixel with content is lit; a cursor does not stay in one place
for that long."""
MIN_USED_PIXELS = 0.02
"""Minimum share of pixels with content in a row or column for it to have content. It is not reached
by a clock in a black bar."""
MIN_VARIATION, MIN_VARYING_FRAMES = 1.5, 0.25
"""Minimum deviation of a pixel from its mean, 0 to 255, and minimum share of frames in which it
deviates, for content in a nearly black scene. Video coding changes black by less."""
MIN_MOVEMENT, MIN_MOVING_PIXELS = 8.0, 0.5
"""Minimum deviation of a moving pixel from its mean, 0 to 255, and minimum share of the pixels of a
rectangle that move."""
MIN_SIDE_SHARE = 0.5
"""Minimum width and height of a moving rectangle, as shares of those of the picture; a smaller one
is an object that moves in the picture."""
IGNORED_BLOCKS = 0.02
"""Share of blocks that are ignored, those with the greatest change: clocks, cursors and
counters."""


class Rectangle(NamedTuple):
    """A part of a picture: columns [left, right) and rows [top, bottom), in pixels."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        """Width in pixels."""
        return self.right - self.left

    @property
    def height(self) -> int:
        """Height in pixels."""
        return self.bottom - self.top

    @property
    def area(self) -> int:
        """Number of pixels."""
        return self.width * self.height


def to_grey(frames: "Frames") -> "Grey":
    """Convert frames to brightness, (n, h, w) uint8, by the weights of ITU-R BT.601."""
    import numpy as np  # slow to import

    out = np.empty((len(frames), *frames.shape[2:]), np.uint8)
    for number, frame in enumerate(frames):
        red, green, blue = frame.astype(np.uint16)
        out[number] = (red * 77 + green * 150 + blue * 29) >> 8
    return out


def find_content(greys: "Grey") -> Rectangle | None:
    """Find the rectangle with content; None if no part of the picture has content.

    A pixel has content if it is lit in some of the frames or, in the dark, if it varies from frame
    to frame more than a bar does. A few such pixels in a row or column do not count, and neither
    does a cursor that passes by once.
    """
    import numpy as np  # slow to import

    used = (greys >= BLACK).mean(axis=0) >= MIN_LIT_FRAMES
    found = _bounds(used)
    if found is not None and (found.width, found.height) == used.shape[::-1]:
        return found
    dim = np.minimum(greys, BLACK).astype(np.float32)
    varies = (np.abs(dim - dim.mean(axis=0)) >= MIN_VARIATION).mean(axis=0) >= MIN_VARYING_FRAMES
    return _bounds(used | varies)


def _bounds(used: "NDArray[np.bool_]") -> Rectangle | None:
    import numpy as np  # slow to import

    rows = np.flatnonzero(used.mean(axis=1) > MIN_USED_PIXELS)
    columns = np.flatnonzero(used.mean(axis=0) > MIN_USED_PIXELS)
    if not len(rows) or not len(columns):
        return None
    return Rectangle(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)


def find_moving(greys: "Grey") -> Rectangle | None:
    """Find the rectangle in which the picture moves, with a precision of two pixels.

    None if nothing moves, if too few pixels of the rectangle move, or if it is too small.
    """
    import numpy as np  # slow to import

    sampled = greys[:, ::2, ::2].astype(np.float32)
    deviates = np.abs(sampled - sampled.mean(axis=0)) >= MIN_MOVEMENT
    moves = deviates.mean(axis=0) >= MIN_VARYING_FRAMES
    found = _bounds(moves)
    if found is None or crop(moves, found).mean() < MIN_MOVING_PIXELS:
        return None
    height, width = greys.shape[1:]
    left, top, right, bottom = (2 * side for side in found)
    box = Rectangle(left, top, min(right, width), min(bottom, height))
    is_large = box.width >= MIN_SIDE_SHARE * width and box.height >= MIN_SIDE_SHARE * height
    return box if is_large else None


def crop(pictures: "Frames", rectangle: Rectangle) -> "Frames":
    """Cut a rectangle out of pictures, (…, h, w)."""
    return pictures[..., rectangle.top : rectangle.bottom, rectangle.left : rectangle.right]


def measure_changes(greys: "Grey") -> "NDArray[np.float64]":
    """Measure the change from each frame to the next, (n - 1,).

    It is the change of the block that changes most, after ignoring the few blocks that a clock or a
    cursor changes.
    """
    import cv2  # slow to import
    import numpy as np

    n, height, width = greys.shape
    blocks = (max(1, width // BLOCK), max(1, height // BLOCK))
    out = np.zeros(max(0, n - 1))
    for number in range(len(out)):
        change = cv2.absdiff(greys[number + 1], greys[number]).astype(np.float32)
        means = cv2.resize(change, blocks, interpolation=cv2.INTER_AREA).ravel()
        rank = max(0, means.size - 1 - round(means.size * IGNORED_BLOCKS))
        out[number] = np.partition(means, rank)[rank]
    return out
