"""`scene`: the time between two cuts."""

from filmgate.core.envelope import StorableText
from filmgate.core.payloads.payload import FrameNumber, Index, Payload


class SceneV1(Payload):
    """Contract `scene`, version 1."""

    scene_index: Index
    """Number of the scene, 0-based, in order of time."""
    method: StorableText
    """How the cut at the scene's start was found; `start` for the first scene."""
    score: float | None
    """Strength of the cut at the scene's start, as the detector scored it; None if not measured."""
    frame_number: FrameNumber
    """First frame of the scene."""
