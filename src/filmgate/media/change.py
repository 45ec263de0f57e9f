"""Measures of change from frame to frame, from which cuts are detected."""

from array import array
from dataclasses import dataclass, field


def _floats() -> "array[float]":
    return array("d")


def _ints() -> "array[int]":
    return array("q")


@dataclass(frozen=True)
class FrameChanges:
    """Columns with one entry per frame, in presentation order; 48 bytes per frame."""

    number: "array[int]" = field(default_factory=_ints)
    """Frame number, 0-based, over decoded frames."""
    ms: "array[int]" = field(default_factory=_ints)
    """Presentation time, in milliseconds."""
    content: "array[float]" = field(default_factory=_floats)
    """Mean change since the previous frame, 0–255: of hue, saturation and value together, as
    PySceneDetect's ContentDetector scores it, or of value alone if that is greater. In black
    and white film, hue and saturation do not change and would hide two thirds of a cut."""
    step: "array[float]" = field(default_factory=_floats)
    """Mean absolute change of blue, green and red since the previous frame, 0–255."""
    bridge: "array[float]" = field(default_factory=_floats)
    """For a frame of great change: the difference between the pictures shortly before and
    shortly after it, divided by the change itself. The value is near 1 at a cut, and
    near 0 if the old picture comes back (a flash). 1 for all other frames."""
    luma: "array[float]" = field(default_factory=_floats)
    """Mean brightness, 0–255."""
