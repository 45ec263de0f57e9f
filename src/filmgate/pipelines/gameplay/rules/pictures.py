"""What pictures have in common over time: brightness, the rectangle that is used, stillness."""

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Frames = NDArray[np.uint8]
    Grey = NDArray[np.uint8]

BLACK = 16
"""Of 255: the darkest a screen shows something at. Video calls 16 of its own 0 to 255 black;
bars come out of coding and scaling at up to about 10."""

STILL = 2.0
"""Of 255: how much the mean of a block of 16 × 16 pixels may change in a still picture. On a
recording of a capture that hangs, coding alone changed no block by more than 1.0; the smallest
movement of a player standing in a field changed one by 18."""

BLOCK = 16
OFTEN = 0.1
"""The share of frames in which a pixel must be lit: a cursor is nowhere as often."""
LIT = 0.02
"""The share of a row's or column's pixels that must be used: a clock in a black bar does not make
a picture of it."""
VARIES, MOSTLY = 1.5, 0.25
"""Of 255, and of the frames: how far and how often a pixel strays from its mean in a scene that is
nearly black. Coding moves black by less."""
MOVED, FILLED_BY = 8.0, 0.5
"""Of 255: likewise of what surely moves; and the share of the rectangle that must."""
MOST_OF = 0.5
"""Of width and height: a smaller one is something that moves in the picture."""
ASIDE = 0.02
"""The share of blocks that change most and are left out: a clock, a cursor, a counter."""


class Rectangle(NamedTuple):
    """A part of a picture: columns `left` to `right`, rows `top` to `bottom`, ends left out."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        """In pixels."""
        return self.right - self.left

    @property
    def height(self) -> int:
        """In pixels."""
        return self.bottom - self.top

    @property
    def area(self) -> int:
        """In pixels."""
        return self.width * self.height


def grey(frames: "Frames") -> "Grey":
    """(n, h, w) uint8: brightness as ITU-R BT.601 weighs red, green and blue."""
    import numpy as np  # heavy

    out = np.empty((len(frames), *frames.shape[2:]), np.uint8)
    for number, frame in enumerate(frames):
        red, green, blue = frame.astype(np.uint16)
        out[number] = (red * 77 + green * 150 + blue * 29) >> 8
    return out


def content(greys: "Grey") -> Rectangle | None:
    """The rectangle that shows something: no row or column outside has pixels that are used, but
    for a few. None where nothing is.

    A pixel is used where it is lit in some of the frames, or, in the dark, where it varies from
    frame to frame as no bar does. What passes by once, a cursor, makes no bar a picture.
    """
    import numpy as np  # heavy

    used = (greys >= BLACK).mean(axis=0) >= OFTEN
    found = _bounds(used)
    if found is not None and (found.width, found.height) == used.shape[::-1]:
        return found
    dim = np.minimum(greys, BLACK).astype(np.float32)
    varies = (np.abs(dim - dim.mean(axis=0)) >= VARIES).mean(axis=0) >= MOSTLY
    return _bounds(used | varies)


def _bounds(used: "NDArray[np.bool_]") -> Rectangle | None:
    import numpy as np  # heavy

    rows = np.flatnonzero(used.mean(axis=1) > LIT)
    columns = np.flatnonzero(used.mean(axis=0) > LIT)
    if not len(rows) or not len(columns):
        return None
    return Rectangle(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)


def moving(greys: "Grey") -> Rectangle | None:
    """The rectangle in which the picture changes from frame to frame, to two pixels; None where
    there is none, or only here and there in it, or in a small part of the picture."""
    import numpy as np  # heavy

    few = greys[:, ::2, ::2].astype(np.float32)
    changes_there = (np.abs(few - few.mean(axis=0)) >= MOVED).mean(axis=0) >= MOSTLY
    found = _bounds(changes_there)
    if found is None or within(changes_there, found).mean() < FILLED_BY:
        return None
    height, width = greys.shape[1:]
    left, top, right, bottom = (2 * side for side in found)
    box = Rectangle(left, top, min(right, width), min(bottom, height))
    is_large = box.width >= MOST_OF * width and box.height >= MOST_OF * height
    return box if is_large else None


def within(pictures: "Frames", rectangle: Rectangle) -> "Frames":
    """That part of all pictures, (…, h, w)."""
    return pictures[..., rectangle.top : rectangle.bottom, rectangle.left : rectangle.right]


def changes(greys: "Grey") -> "NDArray[np.float64]":
    """(n - 1,) from each frame to the next, how much the block that changed most did, leaving out
    the few that a clock or a cursor changes."""
    import cv2  # heavy
    import numpy as np

    n, height, width = greys.shape
    blocks = (max(1, width // BLOCK), max(1, height // BLOCK))
    out = np.zeros(max(0, n - 1))
    for number in range(len(out)):
        change = cv2.absdiff(greys[number + 1], greys[number]).astype(np.float32)
        means = cv2.resize(change, blocks, interpolation=cv2.INTER_AREA).ravel()
        place = max(0, means.size - 1 - round(means.size * ASIDE))
        out[number] = np.partition(means, place)[place]
    return out
