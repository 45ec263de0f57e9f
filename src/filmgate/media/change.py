"""How much a picture changes from frame to frame: the measures that cuts are decided on."""

from array import array
from dataclasses import dataclass, field


def _floats() -> "array[float]":
    return array("d")


def _ints() -> "array[int]":
    return array("q")


@dataclass(frozen=True)
class FrameChanges:
    """One entry a frame, in order of presentation. Compact: 48 bytes a frame."""

    number: "array[int]" = field(default_factory=_ints)
    """The frame's number."""
    ms: "array[int]" = field(default_factory=_ints)
    """When it is first shown."""
    content: "array[float]" = field(default_factory=_floats)
    """Mean change since the frame before, 0–255: of hue, saturation and value together, as
    PySceneDetect's ContentDetector scores it, or of value alone where that is more: in black
    and white film the first two say nothing and would hide two thirds of a cut."""
    step: "array[float]" = field(default_factory=_floats)
    """Mean absolute change of blue, green and red since the frame before, 0–255."""
    bridge: "array[float]" = field(default_factory=_floats)
    """Around a frame of great change: how unlike the pictures shortly before are to those
    shortly after, against the change itself. Near 1 at a cut, near 0 where the old picture
    comes back (a flash). 1 for all other frames."""
    luma: "array[float]" = field(default_factory=_floats)
    """Mean brightness, 0–255."""
