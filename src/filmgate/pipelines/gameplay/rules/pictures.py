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
LIT = 0.01
"""The share of a row's or column's pixels that must show something in some frame: a cursor or a
clock in a black bar does not make a picture of it."""


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
    """The rectangle that ever shows something: no row or column outside has pixels that are lit
    in any frame, but for a few. None where nothing is ever lit."""
    import numpy as np  # heavy

    brightest = greys.max(axis=0)
    lit = brightest >= _black(brightest)
    rows = np.flatnonzero(lit.mean(axis=1) > LIT)
    columns = np.flatnonzero(lit.mean(axis=0) > LIT)
    if not len(rows) or not len(columns):
        return None
    return Rectangle(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)


def _black(brightest: "Grey") -> float:
    """Below this a pixel shows nothing: in a recording that is dark all over, less than usual."""
    import numpy as np  # heavy

    return float(min(BLACK, max(4.0, np.percentile(brightest, 95) / 4)))


def within(pictures: "Frames", rectangle: Rectangle) -> "Frames":
    """That part of all pictures, (…, h, w)."""
    return pictures[..., rectangle.top : rectangle.bottom, rectangle.left : rectangle.right]


def changes(greys: "Grey") -> "NDArray[np.float64]":
    """(n - 1,) from each frame to the next, how much the block that changed most did."""
    import cv2  # heavy
    import numpy as np

    n, height, width = greys.shape
    blocks = (max(1, width // BLOCK), max(1, height // BLOCK))
    out = np.zeros(max(0, n - 1))
    for number in range(len(out)):
        change = cv2.absdiff(greys[number + 1], greys[number]).astype(np.float32)
        out[number] = cv2.resize(change, blocks, interpolation=cv2.INTER_AREA).max()
    return out
