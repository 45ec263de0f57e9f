"""Subtitles: beside the video (pysubs2) or inside it (FFmpeg), as cues in plain text."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any
from unicodedata import category

from filmgate.core.errors import Invalid
from filmgate.media.time import milliseconds
from filmgate.tools.containers import facts_of, opened

SUFFIXES = (".srt", ".vtt", ".ass", ".ssa")
MAX_BYTES = 64 << 20
"""A subtitle file beyond that is something else."""


@dataclass(frozen=True, kw_only=True)
class Cue:
    """Words on the screen, and when. The span is as written: it may be turned around."""

    start_ms: int
    end_ms: int
    text: str
    """In one line, without markup; may be empty."""
    speaker: str | None


def side_car_of(video: Path) -> Path | None:
    """The subtitle file that belongs to a video: `film.srt`, or `film.en.srt`.

    One with the video's own name comes first, then English, then by the alphabet.
    """
    if not video.parent.is_dir():
        return None
    found = [
        path
        for path in video.parent.iterdir()
        if path.suffix.lower() in SUFFIXES and path.is_file() and _belongs(path, video)
    ]
    return min(found, key=lambda path: _preference(path, video), default=None)


def language_of(side_car: Path) -> str | None:
    """The language that a side-car's name tells: `en` of `film.en.srt`."""
    words = Path(side_car.stem).suffixes
    code = words[-1].removeprefix(".") if words else ""
    return code.lower() if code.isalpha() and len(code) in {2, 3} else None


def read_side_car(path: Path) -> list[Cue]:
    """All cues of a subtitle file; Invalid where it cannot be read."""
    import pysubs2  # only where subtitles are

    size = path.stat().st_size
    if size > MAX_BYTES:
        raise Invalid(
            f"{path.name} is too large for subtitles",
            expected=f"at most {MAX_BYTES} bytes",
            got=f"{size} bytes",
        )
    try:
        events = pysubs2.SSAFile.from_string(_text_of(path), format_=None).events
    except (pysubs2.exceptions.Pysubs2Error, ValueError, IndexError) as error:
        raise Invalid(
            f"{path.name} cannot be read as subtitles",
            expected=", ".join(SUFFIXES),
            got="nothing of that kind" if size else "0 bytes",
        ) from error
    return [
        Cue(
            start_ms=event.start,
            end_ms=event.end,
            text=_one_line(event.plaintext),
            speaker=event.name or None,
        )
        for event in events
        if not event.is_comment and not event.is_drawing
    ]


def read_embedded(path: Path, index: int) -> Iterator[Cue]:
    """The cues of a text track inside the file, in order; what cannot be decoded is left out."""
    import av  # heavy

    with opened(path) as container:
        origin = facts_of(container).origin
        for packet in container.demux(container.streams[index]):
            if packet.pts is None or packet.time_base is None:
                continue
            start = packet.pts * Fraction(packet.time_base) - origin
            length = (packet.duration or 0) * Fraction(packet.time_base)
            try:
                text = _one_line(" ".join(_plain(each) for each in packet.decode()))
            except av.FFmpegError:
                continue
            yield Cue(
                start_ms=milliseconds(start),
                end_ms=milliseconds(start + length),
                text=text,
                speaker=None,
            )


def _plain(subtitle: Any) -> str:
    """The words of a decoded subtitle, without styling."""
    import pysubs2  # only where subtitles are

    dialogue = getattr(subtitle, "dialogue", b"") or b""
    event = pysubs2.SSAEvent(text=dialogue.decode("utf-8", errors="replace"))
    return event.plaintext


def _text_of(path: Path) -> str:
    """The file's text: UTF-8 or UTF-16 by its mark, else Windows-1252, which reads any byte."""
    data = path.read_bytes()
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors="replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def _one_line(text: str) -> str:
    spoken = "".join(" " if category(c) == "Cc" else c for c in text.replace("\\N", " "))
    return " ".join(spoken.split())


def _belongs(path: Path, video: Path) -> bool:
    return path.stem == video.stem or (
        path.stem.startswith(f"{video.stem}.") and language_of(path) is not None
    )


def _preference(path: Path, video: Path) -> tuple[bool, bool, str]:
    language = language_of(path) or ""
    return (path.stem != video.stem, language not in {"en", "eng"}, path.name)
