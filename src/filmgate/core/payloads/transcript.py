"""`transcript.segment`: something said, and when."""

from typing import Annotated

from pydantic import Field

from filmgate.core.payloads.payload import Confidence, Payload


class TranscriptSegmentV1(Payload):
    """Contract `transcript.segment`, version 1."""

    text: Annotated[str, Field(min_length=1)]
    speaker: Annotated[str, Field(min_length=1)] | None
    """Who says it, where the source tells; None where it does not."""
    confidence: Confidence | None
    """None where the source does not measure it (subtitles)."""
    language: Annotated[str, Field(min_length=2)] | None
    """BCP 47 or ISO 639 code (`en`, `eng`); None where unknown."""
