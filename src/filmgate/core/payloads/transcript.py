"""`transcript.segment`: spoken text."""

from filmgate.core.envelope import StorableText
from filmgate.core.payloads.payload import Confidence, Language, Payload


class TranscriptSegmentV1(Payload):
    """Contract `transcript.segment`, version 1."""

    text: StorableText
    speaker: StorableText | None
    """Name of the speaker; None if the source does not give it."""
    confidence: Confidence | None
    """Confidence of the source; None if it does not measure one, as in the case of subtitles."""
    language: Language | None
    """Language of the text; None if it is unknown."""
