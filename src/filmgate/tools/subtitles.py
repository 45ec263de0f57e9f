"""Read subtitles as plain-text cues: from side-car files (pysubs2) or from the video (FFmpeg)."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING
from unicodedata import category

from filmgate.core.errors import Invalid
from filmgate.media.time import milliseconds
from filmgate.tools.containers import find_stream, open_media, read_media_facts

if TYPE_CHECKING:
    from av.subtitles.subtitle import Subtitle

SUFFIXES = (".srt", ".vtt", ".ass", ".ssa")
MAX_BYTES = 64 << 20
"""Largest size of a subtitle file, in bytes."""


@dataclass(frozen=True, kw_only=True)
class Cue:
    """One subtitle. Its times are as stored in the file; the end may precede the start."""

    start_ms: int
    end_ms: int
    text: str
    """Text on one line, without markup; may be empty."""
    speaker: str | None


def find_side_car(video: Path) -> Path | None:
    """Find the subtitle file beside a video: `film.srt`, or `film.en.srt`; None if there is none.

    A file without a language code has priority, then English, then alphabetical order.
    """
    if not video.parent.is_dir():
        return None
    found = [
        path
        for path in video.parent.iterdir()
        if path.suffix.lower() in SUFFIXES and path.is_file() and _belongs(path, video)
    ]
    return min(found, key=lambda path: _preference(path, video), default=None)


def side_car_language(side_car: Path) -> str | None:
    """Return the language code in a side-car's file name, such as `en` in `film.en.srt`."""
    words = Path(side_car.stem).suffixes
    code = words[-1].removeprefix(".") if words else ""
    return code.lower() if code.isalpha() and len(code) in {2, 3} else None


def read_side_car(path: Path) -> list[Cue]:
    """Read all cues of a subtitle file; raise Invalid if it cannot be read."""
    import pysubs2  # only needed if there are subtitles

    size = path.stat().st_size
    if size > MAX_BYTES:
        raise Invalid(
            f"{path.name} is too large for subtitles",
            expected=f"at most {MAX_BYTES} bytes",
            got=f"{size} bytes",
        )
    try:
        events = pysubs2.SSAFile.from_string(_read_text(path), format_=None).events
    except (pysubs2.exceptions.Pysubs2Error, ValueError, IndexError) as error:
        raise Invalid(
            f"{path.name} cannot be read as subtitles",
            expected=", ".join(SUFFIXES),
            got="another format" if size else "0 bytes",
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
    """Yield the cues of a subtitle stream in file order, skipping those that cannot be decoded."""
    import av  # slow to import

    with open_media(path) as container:
        origin = read_media_facts(container).origin
        for packet in container.demux(find_stream(container.streams.subtitles, index)):
            if packet.pts is None or packet.time_base is None:
                continue
            start = packet.pts * Fraction(packet.time_base) - origin
            length = (packet.duration or 0) * Fraction(packet.time_base)
            try:
                text = _one_line(" ".join(_plain_text(part) for part in packet.decode()))
            except av.FFmpegError:
                continue
            yield Cue(
                start_ms=milliseconds(start),
                end_ms=milliseconds(start + length),
                text=text,
                speaker=None,
            )


def _plain_text(subtitle: "Subtitle") -> str:
    """Return the text of a decoded subtitle, without styling."""
    import pysubs2  # only needed if there are subtitles

    dialogue = getattr(subtitle, "dialogue", b"") or b""
    event = pysubs2.SSAEvent(text=dialogue.decode("utf-8", errors="replace"))
    return event.plaintext


def _read_text(path: Path) -> str:
    """Read a file as UTF-16 (with a byte order mark), UTF-8, or else Windows-1252.

    In Windows-1252 almost any byte is valid; others are replaced.
    """
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
        path.stem.startswith(f"{video.stem}.") and side_car_language(path) is not None
    )


def _preference(path: Path, video: Path) -> tuple[bool, bool, str]:
    language = side_car_language(path) or ""
    return (path.stem != video.stem, language not in {"en", "eng"}, path.name)
