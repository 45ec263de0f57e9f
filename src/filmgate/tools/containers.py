"""Open media files with FFmpeg, through PyAV: known container formats and local files only."""

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from io import RawIOBase
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeVar, overload

from filmgate.core.errors import Invalid, NotFound
from filmgate.media.container import MediaFacts, MediaStream

if TYPE_CHECKING:
    from av import AudioFrame, AudioStream, FFmpegError, VideoFrame, VideoStream
    from av.container import InputContainer
    from av.stream import Stream

StreamT = TypeVar("StreamT", bound="Stream")

FORMATS = (
    "aac,aiff,asf,avi,caf,flac,flv,h264,hevc,ivf,matroska,mov,mp3,mp4,mpeg,mpegts,mpegvideo,"
    "mxf,ogg,rm,wav,webm"
)
"""Allowed demuxers. Excluded are those that open other files named in the file (playlists, concat
scripts) and those that render plain text as pictures."""

TEXT_SUBTITLES = frozenset(
    {"subrip", "srt", "ass", "ssa", "mov_text", "webvtt", "text", "microdvd", "subviewer"}
)
MAX_BROKEN_PACKETS = 500
"""Maximum number of packets at the start of a file that cannot be decoded; a recording may begin in
the middle of a group of pictures."""

FETCH_AGAIN = "Fetch the file again: the copy or recording may be incomplete"
TEXT, PICTURE = "plain text", "a still picture"
UNREADABLE = "video_unreadable"
HEAD_BYTES = 4096
STILL_SIGNATURES = (b"\x89PNG", b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"BM")

TIME_BASE = 1_000_000
"""Ticks per second of FFmpeg's container-level times (`AV_TIME_BASE`)."""

_ATTACHED_PICTURE = 0x400
_EXPECTED = "a video or audio file, such as MP4, MKV, WebM, AVI, WAV or MP3"


@contextmanager
def open_media(path: Path) -> Iterator["InputContainer"]:
    """Open a media file for reading; raise NotFound or Invalid if `path` is not one."""
    _check_file(path)
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    with _container(str(path.absolute()), path.name, path.stat().st_size, head) as container:
        yield container


@contextmanager
def open_embedded_media(
    file: IO[bytes] | RawIOBase, name: str, size_bytes: int
) -> Iterator["InputContainer"]:
    """Open media that is embedded in another file; raise Invalid if it is not media.

    `file`: seekable; its position 0 is the first byte of the media.
    """
    head = file.read(HEAD_BYTES)
    file.seek(0)
    with _container(file, name, size_bytes, head) as container:
        yield container


@contextmanager
def _container(
    source: str | IO[bytes] | RawIOBase, name: str, size_bytes: int, head: bytes
) -> Iterator["InputContainer"]:
    import av  # slow to import

    options = {"format_whitelist": FORMATS, "protocol_whitelist": "file"}
    try:
        container = av.open(source, "r", options=options, metadata_errors="replace")
    except (av.FFmpegError, ValueError) as error:
        got = _describe_content(size_bytes, head, error)
        raise Invalid(
            f"{name} cannot be opened as media",
            expected=_EXPECTED,
            got=got,
            hint=None if got in {TEXT, PICTURE} else FETCH_AGAIN,
            reason=UNREADABLE,
        ) from error
    with container:
        yield container


def read_media_facts(container: "InputContainer") -> MediaFacts:
    """Read the header: format, usable streams, and where the timeline starts."""
    streams = container.streams
    pictures = [s for s in streams.video if _is_readable(s) and not _is_cover(s)][:1]
    sounds = [s for s in streams.audio if _is_readable(s)]
    texts = [
        s for s in streams.subtitles if _is_readable(s) and s.codec_context.name in TEXT_SUBTITLES
    ]
    starts = [s.start_time * time_base(s) for s in (*pictures, *sounds) if s.start_time is not None]
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
    """Read the duration in seconds. Matroska counts it from 0, even if the film starts later."""
    if not container.duration:
        return None
    duration = Fraction(container.duration, TIME_BASE)
    counts_from_zero = "matroska" in container.format.name
    return max(Fraction(0), duration - origin) if counts_from_zero and origin > 0 else duration


def inspect(path: Path) -> MediaFacts:
    """Check that a file can be an asset: it opens, and a first frame of it can be decoded.

    Raises NotFound if the file is missing, Invalid if it has neither a video nor an audio stream or
    cannot be decoded.
    """
    with open_media(path) as container:
        facts = read_media_facts(container)
        tracks = [facts.video] if facts.video else list(facts.audio[:1])
        if not tracks:
            kinds = ", ".join(sorted({s.type for s in container.streams})) or "nothing"
            raise Invalid(
                f"{path.name} has neither a video nor an audio stream",
                expected=_EXPECTED,
                got=kinds,
            )
        streams, index = container.streams, tracks[0].index
        stream: VideoStream | AudioStream = (
            find_stream(streams.video, index) if facts.video else find_stream(streams.audio, index)
        )
        frames = decode_stream(container, stream)
        if all(isinstance(frame, Exception) for frame in islice(frames, MAX_BROKEN_PACKETS)):
            raise Invalid(
                f"{path.name} cannot be decoded",
                expected=f"frames of {tracks[0].codec}",
                got="none",
                hint=FETCH_AGAIN,
            )
    return facts


def find_stream(streams: tuple[StreamT, ...], index: int) -> StreamT:
    """Return the stream that has this index in the file."""
    return next(stream for stream in streams if stream.index == index)


def time_base(stream: "Stream | VideoFrame") -> Fraction:
    """Return the duration of one tick in seconds."""
    assert stream.time_base is not None
    return Fraction(stream.time_base)


@overload
def decode_stream(
    container: "InputContainer", stream: "VideoStream"
) -> "Iterator[VideoFrame | FFmpegError]": ...
@overload
def decode_stream(
    container: "InputContainer", stream: "AudioStream"
) -> "Iterator[AudioFrame | FFmpegError]": ...
def decode_stream(container: "InputContainer", stream: "Stream") -> "Iterator[object]":
    """Yield decoded frames, and an exception in place of each packet that cannot be decoded."""
    import av  # slow to import

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


def _is_readable(stream: "Stream") -> bool:
    """Whether there is a decoder for the stream."""
    return stream.codec_context is not None


def _is_cover(stream: "Stream") -> bool:
    """Whether the stream is cover art (an attached picture)."""
    return bool(int(stream.disposition) & _ATTACHED_PICTURE)


def _track(stream: "Stream") -> MediaStream:
    language = stream.metadata.get("language")
    return MediaStream(
        index=stream.index,
        codec=stream.codec_context.name,
        language=language if language and len(language) > 1 and language != "und" else None,
        sample_rate=getattr(stream, "sample_rate", None),
        channels=getattr(stream, "channels", None),
    )


def _check_file(path: Path) -> None:
    if not path.exists():
        raise NotFound(f"{path} is missing", expected=_EXPECTED, got="no file with this name")
    if not path.is_file():
        got = "a folder" if path.is_dir() else "neither a file nor a folder"
        raise Invalid(f"{path} is not a media file", expected=_EXPECTED, got=got)
    if path.stat().st_size == 0:
        raise Invalid(f"{path.name} is empty", expected=_EXPECTED, got="0 bytes")


def _describe_content(size_bytes: int, head: bytes, error: Exception) -> str:
    """Name the kind of content that is not media, or give FFmpeg's error without the path."""
    if head and b"\0" not in head and _is_text(head):
        return TEXT
    if head.startswith(STILL_SIGNATURES) or head[8:12] == b"WEBP":
        return PICTURE
    message = getattr(error, "strerror", None) or str(error)
    return f"{size_bytes} bytes: {message}"


def _is_text(head: bytes) -> bool:
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start > len(head) - 4
    return True
