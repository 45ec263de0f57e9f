"""Face quality: which faces are good enough to compare."""

from typing import Annotated

from pydantic import Field

from filmgate.core.plan import Settings
from filmgate.core.providers import Landmarks


class FaceQualitySettings(Settings):
    """Thresholds that a face must reach to be compared with others."""

    min_size_px: Annotated[float, Field(ge=1)] = 40.0
    """Minimum length of the shorter side of the bounding box, in displayed pixels. Below about 40
    pixels, the built-in vectors do not distinguish people."""
    min_sharpness: Annotated[float, Field(ge=0)] = 8.0
    """Minimum variance of the Laplacian of the crop; with motion blur or heavy compression it is
    lower."""
    min_frontality: Annotated[float, Field(ge=0, le=1)] = 0.25
    """Minimum frontality: 1 is frontal, 0 is a profile."""


def compute_frontality(landmarks: Landmarks) -> float:
    """Compute how frontal a face is, from 0 (profile) to 1 (nose midway between the eyes).

    `landmarks`: right eye, left eye, nose. The position of the nose is measured along the line
    between the eyes, so that tilting the head does not change the result. Without landmarks the
    result is 1.
    """
    if len(landmarks) < 3:  # noqa: PLR2004 - two eyes and a nose
        return 1.0
    (rx, ry), (lx, ly), (nx, ny) = landmarks[:3]
    across = (lx - rx, ly - ry)
    length = across[0] ** 2 + across[1] ** 2
    if length == 0:
        return 0.0
    along = ((nx - rx) * across[0] + (ny - ry) * across[1]) / length
    return round(max(0.0, 1 - abs(along - 0.5) * 2), 4)


def find_fault(
    size_px: float, sharpness: float, frontality: float, settings: FaceQualitySettings
) -> str | None:
    """Return why a face is not good enough to compare; None if it is good enough."""
    if size_px < settings.min_size_px:
        return "too small"
    if frontality < settings.min_frontality:
        return "turned away"
    return "blurred" if sharpness < settings.min_sharpness else None
