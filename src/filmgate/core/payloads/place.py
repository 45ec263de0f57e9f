"""`place.classification`: the place of a scene."""

from filmgate.core.payloads.payload import Confidence, FrameNumber, Label, Payload


class AlternativeLabel(Payload):
    """Another possible place."""

    label: Label
    confidence: Confidence | None


class PlaceClassificationV1(Payload):
    """Contract `place.classification`, version 1."""

    label: Label
    confidence: Confidence | None
    alternative_labels: tuple[AlternativeLabel, ...]
    """Less likely places, most likely first."""
    frame_number: FrameNumber
