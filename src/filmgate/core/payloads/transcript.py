"""`transcript.segment`: something said, and when."""

from filmgate.core.payloads.payload import Confidence, Language, Name, Payload


class TranscriptSegmentV1(Payload):
    """Contract `transcript.segment`, version 1."""

    text: Name
    speaker: Name | None
    """Who says it, where the source tells; None where it does not."""
    confidence: Confidence | None
    """None where the source does not measure it (subtitles)."""
    language: Language | None
    """None where unknown."""
