"""Axis-aligned boxes in a picture, and the overlap of two boxes."""

from typing import NamedTuple


class Box(NamedTuple):
    """A box: its top-left corner (x to the right, y down) and its size, in pixels."""

    x: float
    y: float
    width: float
    height: float

    @property
    def area(self) -> float:
        """Area of the whole box, including any part outside the picture, in square pixels."""
        return self.width * self.height

    @property
    def centre(self) -> tuple[float, float]:
        """Centre of the box, as (x, y)."""
        return self.x + self.width / 2, self.y + self.height / 2

    def scaled(self, factor: float) -> "Box":
        """Return the same box in a picture scaled by `factor`."""
        return Box(*(value * factor for value in self))

    def rounded(self, digits: int = 1) -> "Box":
        """Return the box rounded to `digits` decimals, as it is stored."""
        return Box(*(round(value, digits) for value in self))

    def clipped(self, width: float, height: float) -> "Box":
        """Return the part inside a picture of this size; an empty box if no part is inside."""
        left, top = min(max(self.x, 0.0), width), min(max(self.y, 0.0), height)
        right = min(max(self.x + self.width, left), width)
        bottom = min(max(self.y + self.height, top), height)
        return Box(left, top, right - left, bottom - top)

    def intersection_area(self, other: "Box") -> float:
        """Area that both boxes cover, in square pixels."""
        width = min(self.x + self.width, other.x + other.width) - max(self.x, other.x)
        height = min(self.y + self.height, other.y + other.height) - max(self.y, other.y)
        return max(width, 0.0) * max(height, 0.0)

    def iou(self, other: "Box") -> float:
        """Intersection over union: 1 for equal boxes, 0 for disjoint or empty boxes."""
        intersection = self.intersection_area(other)
        union = self.area + other.area - intersection
        return intersection / union if union > 0 else 0.0
