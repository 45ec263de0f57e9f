"""`scene`: a stretch of film between two cuts."""

from typing import Annotated

from pydantic import Field

from filmgate.core.payloads.payload import FrameNumber, Payload


class SceneV1(Payload):
    """Contract `scene`, version 1."""

    scene_index: Annotated[int, Field(ge=0)]
    """0-based, in order of time."""
    method: Annotated[str, Field(min_length=1)]
    """How the cut at its start was found; `start` for the first scene."""
    score: float | None
    """The detector's strength of the cut at its start; None where nothing was measured."""
    frame_number: FrameNumber
    """Its first frame."""
