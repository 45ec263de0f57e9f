"""Contents of a media file according to its header."""

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, kw_only=True)
class MediaStream:
    """One stream of a media container."""

    index: int
    codec: str
    language: str | None
    sample_rate: int | None = None
    channels: int | None = None


@dataclass(frozen=True, kw_only=True)
class MediaFacts:
    """The usable streams of a file, and where its time line starts."""

    format: str
    origin: Fraction
    """Container time, in seconds, of time 0 on the asset's time line: the earliest start of any
    video or audio stream, which is where players start."""
    duration: Fraction | None
    """Duration according to the header, in seconds; None if the header has none."""
    video: MediaStream | None
    """Video stream; cover art does not count."""
    audio: tuple[MediaStream, ...]
    subtitles: tuple[MediaStream, ...]
    """Text subtitle streams; bitmap subtitles are not listed, as text recognition reads them."""
