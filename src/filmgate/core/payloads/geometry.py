"""Where something is in the picture: pixels of the displayed (rotated) frame, from its top left."""

from typing import Annotated

from pydantic import Field

from filmgate.core.payloads.payload import Payload

Pixels = Annotated[float, Field(ge=-1e6, le=1e6)]
"""A position; a box may reach beyond the picture."""

Extent = Annotated[float, Field(ge=0, le=1e6)]


class BoundingBox(Payload):
    """An upright box; `x` and `y` are its top-left corner."""

    x: Pixels
    y: Pixels
    width: Extent
    height: Extent


Point = tuple[Pixels, Pixels]
"""x, y."""

Polygon = Annotated[tuple[Point, ...], Field(min_length=3, max_length=1000)]
"""The corners of a region, in order around it."""
