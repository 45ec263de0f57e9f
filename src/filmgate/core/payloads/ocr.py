"""`ocr.text`: text in the picture."""

from filmgate.core.envelope import StorableText
from filmgate.core.payloads.geometry import Polygon
from filmgate.core.payloads.payload import Confidence, FrameNumber, Language, Payload


class OcrTextV1(Payload):
    """Contract `ocr.text`, version 1."""

    text: StorableText
    confidence: Confidence | None
    bounding_box: Polygon
    """Corners of the region, from the top left clockwise."""
    language: Language | None
    frame_number: FrameNumber
