"""Positions in a picture, in pixels of the displayed (rotated) frame from its top left."""

from typing import Annotated

from pydantic import Field

from filmgate.core.payloads.payload import Payload

Pixels = Annotated[float, Field(ge=-1e6, le=1e6)]
"""A coordinate; it may be outside the picture."""

Extent = Annotated[float, Field(ge=0, le=1e6)]
"""A width or height, in pixels."""


class BoundingBox(Payload):
    """An axis-aligned box; `x` and `y` are its top-left corner."""

    x: Pixels
    y: Pixels
    width: Extent
    height: Extent


Point = tuple[Pixels, Pixels]
"""A point: x, y."""

Polygon = Annotated[tuple[Point, ...], Field(min_length=3, max_length=1000)]
"""The corners of a region, listed around its edge."""
