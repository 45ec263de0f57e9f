"""What a media file holds, as its header tells."""

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, kw_only=True)
class Track:
    """One stream of a container."""

    index: int
    codec: str
    language: str | None
    sample_rate: int | None = None
    channels: int | None = None


@dataclass(frozen=True, kw_only=True)
class MediaFacts:
    """The streams worth working on, and where the time line starts."""

    format: str
    origin: Fraction
    """The container time, in seconds, that is 0 on the asset's time line: the earliest start
    of any picture or sound, which is where players begin."""
    duration: Fraction | None
    """In seconds, as the header claims; None where it does not."""
    video: Track | None
    """The picture; cover art is none."""
    audio: tuple[Track, ...]
    subtitles: tuple[Track, ...]
    """Those that hold text; pictures of text are left to text recognition."""
