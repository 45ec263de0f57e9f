"""What the header of a video says of its format and streams, in the names of ffprobe."""

from fractions import Fraction
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from av.container import InputContainer


def stream_facts(container: "InputContainer") -> dict[str, Any]:
    """Format and streams, in the names of ffprobe; what the header does not say is left out."""
    streams = []
    for each in container.streams:
        stream: Any = each
        told: dict[str, Any] = {"index": stream.index, "codec_type": stream.type}
        if stream.codec_context is not None:
            told["codec_name"] = stream.codec_context.name
        told["time_base"] = _ratio(stream.time_base)
        if stream.duration and stream.time_base:
            told["duration"] = _decimal(stream.duration * Fraction(stream.time_base))
        if stream.frames:
            told["nb_frames"] = stream.frames
        if stream.type == "video" and stream.codec_context is not None:
            told |= _of_pictures(stream)
        if stream.type == "audio" and stream.codec_context is not None:
            told |= {"sample_rate": stream.sample_rate, "channels": stream.channels}
        streams.append({name: held for name, held in told.items() if held is not None})
    length = Fraction(container.duration, 1_000_000) if container.duration else None
    about = {
        "format_name": container.format.name,
        "duration": _decimal(length) if length else None,
        "size": container.size if container.size > 0 else None,
        "bit_rate": container.bit_rate or None,
    }
    told_format = {name: held for name, held in about.items() if held is not None}
    return {"format": told_format, "streams": streams}


def _of_pictures(stream: Any) -> dict[str, Any]:
    context = stream.codec_context
    return {
        "profile": context.profile,
        "width": context.width,
        "height": context.height,
        "pix_fmt": context.pix_fmt,
        "sample_aspect_ratio": _ratio(stream.sample_aspect_ratio),
        "avg_frame_rate": _ratio(stream.average_rate),
        "bit_rate": stream.bit_rate or None,
    }


def _ratio(value: Any) -> str | None:
    if not value:
        return None
    exact = Fraction(value)
    return f"{exact.numerator}/{exact.denominator}"


def _decimal(seconds: Fraction) -> str:
    """Seconds with six digits, as ffprobe writes them."""
    return f"{float(seconds):.6f}"
