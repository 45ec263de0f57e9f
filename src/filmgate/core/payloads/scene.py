"""`scene`: a stretch of film between two cuts."""

from filmgate.core.payloads.payload import FrameNumber, Index, Name, Payload


class SceneV1(Payload):
    """Contract `scene`, version 1."""

    scene_index: Index
    """0-based, in order of time."""
    method: Name
    """How the cut at its start was found; `start` for the first scene."""
    score: float | None
    """The detector's strength of the cut at its start; None where nothing was measured."""
    frame_number: FrameNumber
    """Its first frame."""
