"""Header facts of a media file, with ffprobe's field names."""

from fractions import Fraction
from typing import TYPE_CHECKING

from pydantic import JsonValue

from filmgate.tools.containers import time_base

if TYPE_CHECKING:
    from av import VideoStream
    from av.container import InputContainer


def stream_facts(container: "InputContainer") -> dict[str, JsonValue]:
    """Read `format` and `streams` as ffprobe names them; fields without a value are omitted."""
    import av  # slow to import

    streams: list[JsonValue] = []
    for stream in container.streams:
        fields: dict[str, JsonValue] = {"index": stream.index, "codec_type": stream.type}
        if stream.codec_context is not None:
            fields["codec_name"] = stream.codec_context.name
        fields["time_base"] = _ratio(stream.time_base)
        if stream.duration and stream.time_base:
            fields["duration"] = _decimal(stream.duration * time_base(stream))
        if stream.frames:
            fields["nb_frames"] = stream.frames
        if isinstance(stream, av.VideoStream) and stream.codec_context is not None:
            fields |= _video_fields(stream)
        if isinstance(stream, av.AudioStream) and stream.codec_context is not None:
            fields |= {"sample_rate": stream.sample_rate, "channels": stream.channels}
        streams.append(_without_none(fields))
    length = Fraction(container.duration, 1_000_000) if container.duration else None
    format_fields: dict[str, JsonValue] = {
        "format_name": container.format.name,
        "duration": _decimal(length) if length else None,
        "size": container.size if container.size > 0 else None,
        "bit_rate": container.bit_rate or None,
    }
    return {"format": _without_none(format_fields), "streams": streams}


def _without_none(fields: dict[str, JsonValue]) -> dict[str, JsonValue]:
    return {name: value for name, value in fields.items() if value is not None}


def _video_fields(stream: "VideoStream") -> dict[str, JsonValue]:
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


def _ratio(value: Fraction | None) -> str | None:
    if not value:
        return None
    exact = Fraction(value)
    return f"{exact.numerator}/{exact.denominator}"


def _decimal(seconds: Fraction) -> str:
    """Format seconds with six decimal places, as ffprobe does."""
    return f"{float(seconds):.6f}"
