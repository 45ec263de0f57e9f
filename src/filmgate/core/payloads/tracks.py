"""Artifacts that last longer than a frame: `track` and `screentime.segment`."""

from typing import Annotated, Literal

from pydantic import Field

from filmgate.core.payloads.payload import Confidence, FrameNumber, Label, Payload


class TrackV1(Payload):
    """Contract `track`, version 1: one subject followed through a shot, during the span."""

    track_id: Label
    subject: Literal["face", "person", "object"]
    cluster_id: Label | None
    """Id of the subject's face cluster in the run; None if it is unknown."""
    first_frame: FrameNumber
    last_frame: FrameNumber
    detections: Annotated[int, Field(ge=1)]
    """Number of frames with a detection; frames in between may have none."""
    confidence: Confidence | None
    """Mean confidence of the detections."""


class ScreentimeSegmentV1(Payload):
    """Contract `screentime.segment`, version 1: a span in which a person is on screen."""

    cluster_id: Label
    """Id of the person's face cluster."""
    evidence: Literal["face", "body", "bridged"]
    """Evidence: a visible face, a body whose face is turned away, or a bridged short gap."""
    track_id: Label | None = None
    """Id of the track of the face or body; None for a bridged gap."""
    confidence: Confidence | None
    """Confidence of the track's detections; None if the subject was only followed."""
