"""`transcript.segment`: spoken text."""

from filmgate.core.envelope import StorableText
from filmgate.core.payloads.payload import Confidence, Language, Payload


class TranscriptSegmentV1(Payload):
    """Contract `transcript.segment`, version 1."""

    text: StorableText
    speaker: StorableText | None
    """Name of the speaker; None if the source does not give it."""
    confidence: Confidence | None
    """None if the source does not measure it, such as subtitles."""
    language: Language | None
    """None if unknown."""
