"""Which faces are good enough to compare."""

from typing import Annotated

from pydantic import Field

from filmgate.core.plan import Settings
from filmgate.core.providers import Landmarks


class FaceGate(Settings):
    """What a face must have to be compared with others."""

    min_size_px: Annotated[float, Field(ge=1)] = 40.0
    """Shorter side of its box. Below some 40 pixels the built-in vectors stop telling people
    apart."""
    min_sharpness: Annotated[float, Field(ge=0)] = 8.0
    """Variance of the Laplacian of the crop; smears and heavy compression lie below."""
    min_frontality: Annotated[float, Field(ge=0, le=1)] = 0.25
    """0 is a profile."""


def frontality(landmarks: Landmarks) -> float:
    """How far a face looks at us, 0 to 1: 1 where the nose stands midway between the eyes.

    Of landmarks: right eye, left eye, nose. The nose is measured along the line of the eyes, so
    a tilted head is no less frontal. 1 without landmarks: nothing speaks against it.
    """
    if len(landmarks) < 3:  # noqa: PLR2004 - eye, eye, nose
        return 1.0
    (rx, ry), (lx, ly), (nx, ny) = landmarks[:3]
    across = (lx - rx, ly - ry)
    length = across[0] ** 2 + across[1] ** 2
    if length == 0:
        return 0.0
    along = ((nx - rx) * across[0] + (ny - ry) * across[1]) / length
    return round(max(0.0, 1 - abs(along - 0.5) * 2), 4)


def fault(size_px: float, sharpness: float, frontal: float, gate: FaceGate) -> str | None:
    """Why a face is not good enough; None where it is."""
    if size_px < gate.min_size_px:
        return "too small"
    if frontal < gate.min_frontality:
        return "turned away"
    return "blurred" if sharpness < gate.min_sharpness else None
