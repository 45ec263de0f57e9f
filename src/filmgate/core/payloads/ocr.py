"""`ocr.text`: words that stand in the picture."""

from filmgate.core.payloads.geometry import Polygon
from filmgate.core.payloads.payload import Confidence, FrameNumber, Language, Name, Payload


class OcrTextV1(Payload):
    """Contract `ocr.text`, version 1."""

    text: Name
    confidence: Confidence | None
    bounding_box: Polygon
    """The region's corners, from its top left clockwise."""
    language: Language | None
    frame_number: FrameNumber
