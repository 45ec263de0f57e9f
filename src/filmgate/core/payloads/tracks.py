"""What lasts longer than a frame: `track` and `screentime.segment`."""

from typing import Annotated, Literal

from pydantic import Field

from filmgate.core.payloads.payload import Confidence, FrameNumber, Label, Payload


class TrackV1(Payload):
    """Contract `track`, version 1: one thing, followed through a shot. Its span is its life."""

    track_id: Label
    subject: Literal["face", "person", "object"]
    cluster_id: Label | None
    """Who it is, as one run groups faces; None where that is unknown."""
    first_frame: FrameNumber
    last_frame: FrameNumber
    detections: Annotated[int, Field(ge=1)]
    """In how many frames it was detected; it may be lost and found in between."""
    confidence: Confidence | None
    """Mean over its detections."""


class ScreentimeSegmentV1(Payload):
    """Contract `screentime.segment`, version 1: a stretch in which a person is on screen."""

    cluster_id: Label
    """The person."""
    evidence: Literal["face", "body", "bridged"]
    """What shows it: a face, a body whose face is turned away, or a gap short enough to bridge."""
    track_id: Label | None = None
    """The track of a face or a body that shows it; None for a gap that was bridged."""
    confidence: Confidence | None
    """Of the track's detections; None where nothing was detected but followed."""
