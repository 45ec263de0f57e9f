"""Upright boxes in a picture, and how much two of them have in common."""

from typing import NamedTuple


class Box(NamedTuple):
    """From its top-left corner (x right, y down); in pixels of whatever picture it was found in."""

    x: float
    y: float
    width: float
    height: float

    @property
    def area(self) -> float:
        """Of the whole box, also where it reaches beyond the picture."""
        return self.width * self.height

    @property
    def centre(self) -> tuple[float, float]:
        """Its middle: x, y."""
        return self.x + self.width / 2, self.y + self.height / 2

    def scaled(self, factor: float) -> "Box":
        """The same box in a picture so many times as large."""
        return Box(*(value * factor for value in self))

    def rounded(self, digits: int = 1) -> "Box":
        """With so many decimals: what is written down."""
        return Box(*(round(value, digits) for value in self))

    def inside(self, width: float, height: float) -> "Box":
        """The part of it that lies in a picture of this size; of no extent where none does."""
        left, top = min(max(self.x, 0.0), width), min(max(self.y, 0.0), height)
        right = min(max(self.x + self.width, left), width)
        bottom = min(max(self.y + self.height, top), height)
        return Box(left, top, right - left, bottom - top)

    def common(self, other: "Box") -> float:
        """The area that both cover."""
        width = min(self.x + self.width, other.x + other.width) - max(self.x, other.x)
        height = min(self.y + self.height, other.y + other.height) - max(self.y, other.y)
        return max(width, 0.0) * max(height, 0.0)

    def iou(self, other: "Box") -> float:
        """Intersection over union: 1 for equal boxes, 0 for boxes apart (or without extent)."""
        common = self.common(other)
        union = self.area + other.area - common
        return common / union if union > 0 else 0.0
