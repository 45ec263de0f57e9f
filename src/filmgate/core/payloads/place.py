"""`place.classification`: where a scene is set."""

from filmgate.core.payloads.payload import Confidence, FrameNumber, Label, Payload


class AlternativeLabel(Payload):
    """Another place that it may be."""

    label: Label
    confidence: Confidence | None


class PlaceClassificationV1(Payload):
    """Contract `place.classification`, version 1."""

    label: Label
    confidence: Confidence | None
    alternative_labels: tuple[AlternativeLabel, ...]
    """Less likely ones, the likeliest first."""
    frame_number: FrameNumber
