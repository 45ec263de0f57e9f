"""Detections in one frame: `object.detection`, `face.detection`, `person.detection`."""

from filmgate.core.payloads.geometry import BoundingBox
from filmgate.core.payloads.payload import Confidence, FrameNumber, Label, Payload


class ObjectDetectionV1(Payload):
    """Contract `object.detection`, version 1."""

    label: Label
    confidence: Confidence | None
    bounding_box: BoundingBox
    frame_number: FrameNumber


class FaceDetectionV1(Payload):
    """Contract `face.detection`, version 1."""

    confidence: Confidence | None
    bounding_box: BoundingBox
    cluster_id: Label | None
    """Id of the face's cluster in the run; None if the face is in no cluster."""
    frame_number: FrameNumber


class PersonDetectionV1(Payload):
    """Contract `person.detection`, version 1: the body of a person."""

    confidence: Confidence | None
    bounding_box: BoundingBox
    track_id: Label | None
    """Id of the body's `track`; None if the body is in no track."""
    frame_number: FrameNumber
