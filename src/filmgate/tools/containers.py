"""Media files opened with FFmpeg (through PyAV): known containers only, local files only."""

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from filmgate.core.errors import Invalid, NotFound
from filmgate.media.container import MediaFacts, Track

if TYPE_CHECKING:
    from av.container import InputContainer

FORMATS = (
    "aac,aiff,asf,avi,caf,flac,flv,h264,hevc,ivf,matroska,mov,mp3,mp4,mpeg,mpegts,mpegvideo,"
    "mxf,ogg,rm,wav,webm"
)
"""Demuxers that hold media. Left out: those that open other files at the file's own word
(playlists, concat scripts) and those that make pictures of plain text."""

TEXT_SUBTITLES = frozenset(
    {"subrip", "srt", "ass", "ssa", "mov_text", "webvtt", "text", "microdvd", "subviewer"}
)
LOOK_AT = 500
"""Packets that may be broken at the start before a file is refused: recordings begin anywhere."""

FETCH_AGAIN = "If it was copied or recorded, it may be incomplete: fetch it again"
TEXT, PICTURE = "plain text", "a still picture"
UNREADABLE = "video_unreadable"
HEAD_BYTES = 4096
STILLS = (b"\x89PNG", b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"BM")

TIME_BASE = 1_000_000
"""FFmpeg's unit for times of a whole container, per second."""

_ATTACHED_PICTURE = 0x400
_WANTED = "a video or sound file, such as MP4, MKV, WebM, AVI, WAV or MP3"


@contextmanager
def opened(path: Path) -> Iterator["InputContainer"]:
    """Open a media file for reading; Invalid or NotFound where that is not what `path` is."""
    _check_file(path)
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    with _container(str(path.absolute()), path.name, path.stat().st_size, head) as container:
        yield container


@contextmanager
def opened_within(file: BinaryIO, name: str, size_bytes: int) -> Iterator["InputContainer"]:
    """Open media that lies within something else; Invalid where that is not what it is.

    `file`: can be sought in, and begins where the media begins.
    """
    head = file.read(HEAD_BYTES)
    file.seek(0)
    with _container(file, name, size_bytes, head) as container:
        yield container


@contextmanager
def _container(
    source: "str | BinaryIO", name: str, size_bytes: int, head: bytes
) -> Iterator["InputContainer"]:
    import av  # heavy

    options = {"format_whitelist": FORMATS, "protocol_whitelist": "file"}
    try:
        container = av.open(source, "r", options=options, metadata_errors="replace")
    except (av.FFmpegError, ValueError) as error:
        got = _what_came(size_bytes, head, error)
        raise Invalid(
            f"{name} cannot be opened as media",
            expected=_WANTED,
            got=got,
            hint=None if got in {TEXT, PICTURE} else FETCH_AGAIN,
            reason=UNREADABLE,
        ) from error
    with container:
        yield container


def facts_of(container: "InputContainer") -> MediaFacts:
    """What the header tells."""
    streams: Any = container.streams
    pictures = [s for s in streams.video if _is_readable(s) and not _is_cover(s)][:1]
    sounds = [s for s in streams.audio if _is_readable(s)]
    texts = [
        s for s in streams.subtitles if _is_readable(s) and s.codec_context.name in TEXT_SUBTITLES
    ]
    starts = [s.start_time * s.time_base for s in pictures + sounds if s.start_time is not None]
    origin = min(starts, default=Fraction(0))
    return MediaFacts(
        format=container.format.name,
        origin=origin,
        duration=_duration(container, origin),
        video=_track(pictures[0]) if pictures else None,
        audio=tuple(_track(stream) for stream in sounds),
        subtitles=tuple(_track(stream) for stream in texts),
    )


def _duration(container: "InputContainer", origin: Fraction) -> Fraction | None:
    """What the header claims. Matroska's counts from 0, also where the film begins later."""
    if not container.duration:
        return None
    duration = Fraction(container.duration, TIME_BASE)
    counts_from_zero = "matroska" in container.format.name
    return max(Fraction(0), duration - origin) if counts_from_zero and origin > 0 else duration


def inspect(path: Path) -> MediaFacts:
    """Admit a file as an asset: it opens, and a first picture or sound of it can be decoded.

    Raises Invalid where it holds neither, or nothing of it decodes; NotFound where it is not.
    """
    with opened(path) as container:
        facts = facts_of(container)
        tracks = [facts.video] if facts.video else list(facts.audio[:1])
        if not tracks:
            kinds = ", ".join(sorted({s.type for s in container.streams})) or "nothing"
            raise Invalid(f"{path.name} has neither picture nor sound", expected=_WANTED, got=kinds)
        frames = decoded(container, container.streams[tracks[0].index])
        if all(isinstance(frame, Exception) for frame in islice(frames, LOOK_AT)):
            raise Invalid(
                f"nothing of {path.name} can be decoded",
                expected=f"frames of {tracks[0].codec}",
                got="none",
                hint=FETCH_AGAIN,
            )
    return facts


def decoded(container: Any, stream: Any) -> Iterator[Any]:
    """Decoded frames; an exception in place of each packet that could not be decoded."""
    import av  # heavy

    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except av.FFmpegError as error:
            yield error
            return
        if packet is None:
            return
        try:
            yield from packet.decode()
        except av.FFmpegError as error:
            yield error


def _is_readable(stream: Any) -> bool:
    """Whether there is a decoder for it."""
    return stream.codec_context is not None


def _is_cover(stream: Any) -> bool:
    """Whether it is a picture on the sleeve, not of the film."""
    return bool(int(stream.disposition) & _ATTACHED_PICTURE)


def _track(stream: Any) -> Track:
    language = stream.metadata.get("language")
    return Track(
        index=stream.index,
        codec=stream.codec_context.name,
        language=language if language and len(language) > 1 and language != "und" else None,
        sample_rate=getattr(stream, "sample_rate", None),
        channels=getattr(stream, "channels", None),
    )


def _check_file(path: Path) -> None:
    if not path.exists():
        raise NotFound(f"no file {path}", expected=_WANTED, got="nothing by that name")
    if not path.is_file():
        got = "a folder" if path.is_dir() else "neither a file nor a folder"
        raise Invalid(f"{path} is no media file", expected=_WANTED, got=got)
    if path.stat().st_size == 0:
        raise Invalid(f"{path.name} is empty", expected=_WANTED, got="0 bytes")


def _what_came(size_bytes: int, head: bytes, error: Exception) -> str:
    """What the decoder said, without the file's path."""
    if head and b"\0" not in head and _is_text(head):
        return TEXT
    if head.startswith(STILLS) or head[8:12] == b"WEBP":
        return PICTURE
    said = getattr(error, "strerror", None) or str(error)
    return f"{size_bytes} bytes: {said}"


def _is_text(head: bytes) -> bool:
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start > len(head) - 4
    return True
