"""Sample a few frames of a video, and read the times of all its frames from its packets."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from pydantic import JsonValue

from filmgate.core.errors import Invalid
from filmgate.core.sampling import STRIDE, UNIFORM, Sampling
from filmgate.media.time import milliseconds
from filmgate.tools.containers import FETCH_AGAIN, decode_stream, find_stream, read_media_facts
from filmgate.tools.decoding import scaled_pixels
from filmgate.tools.packets import (
    OpenVideo,
    PacketTimeline,
    check_complete,
    decoded_timeline,
    demux_stream,
    header_claims,
    packet_timeline,
)
from filmgate.tools.resource_limits import check_deadline
from filmgate.tools.stream_facts import stream_facts

if TYPE_CHECKING:
    import numpy as np
    from av import Packet, VideoFrame, VideoStream
    from av.container import InputContainer
    from numpy.typing import NDArray

MAX_PIXELS = 8192 * 4608
"""Largest size of a picture in pixels: no screen recording is larger, and one decoded frame of that
size takes 100 MB."""

I_PICTURE = 1
"""FFmpeg's number for the type of a picture that is coded without reference to others."""
PLANAR = frozenset(
    {"yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p", "nv12", "gray"}
)
"""Pixel formats whose first plane is brightness, one byte per pixel."""

ROWS = 16
"""Distance between the rows that are compared to measure how much a picture changed."""

MAX_SAMPLED_PIXELS = 4_000_000
"""Maximum size of a scaled frame in pixels. For example, a picture of 4096 × 16 pixels would get
rows of 65,536 pixels."""


class Series(NamedTuple):
    """Frames that were sampled at one stride or uniformly."""

    frames: "NDArray[np.uint8]"
    """(n, 3, h, w) uint8, red green blue, upright."""
    numbers: list[int]
    """Number of each frame, 0-based in presentation order."""
    times_ms: list[int]
    """Presentation time of each frame, from the start of the video."""


@dataclass(frozen=True, kw_only=True)
class SampledVideo:
    """The sampled frames of a video, and the facts about all its frames."""

    metadata: dict[str, JsonValue]
    """Format and streams according to the header, with ffprobe's field names."""
    series: Mapping[str, Series]
    time_base: Fraction
    pts: "NDArray[np.int64]"
    """(n,) presentation times of all frames, rising, in ticks of the time base."""
    change_numbers: "NDArray[np.int64]"
    """(m,) numbers of the decoded frames whose preceding frame was decoded too."""
    change: "NDArray[np.float32]"
    """(m,) mean absolute change of brightness since the preceding frame, 0 to 255, on every 16th
    row; 0 if the pictures are equal."""
    rotation: int
    """Rotation applied to make the pictures upright, in degrees: 0, 90, 180 or 270."""
    decode_errors: int
    damaged_frames: int

    @property
    def is_variable_rate(self) -> bool:
        """Whether the intervals between frames differ by more than one tick."""
        steps = self.pts[1:] - self.pts[:-1]
        return bool(len(steps)) and int(steps.max()) - int(steps.min()) > 1


def sample(open_video: OpenVideo, sampling: Sampling) -> SampledVideo:
    """Sample a video. Raises Invalid, with a `reason`, if no complete video can be decoded.

    Groups of pictures without a wanted frame are read but not decoded, and no group is decoded
    beyond its last wanted frame. Frames that cannot be decoded are omitted from their series; the
    errors are counted.
    """
    with open_video() as container:
        index, metadata = _video_stream(container)
        stream = find_stream(container.streams.video, index)
        timeline = packet_timeline(container, stream)
        claims = header_claims(container, stream)
    if timeline is None:
        timeline = decoded_timeline(open_video, index)
    check_complete(timeline, claims)
    wanted = _frames_by_series(timeline, sampling)
    try:
        frames = _decode_frames(open_video, index, timeline, sampling, wanted)
    except _DependentGroupError:
        dependent = replace(timeline, has_independent_groups=False)
        frames = _decode_frames(open_video, index, dependent, sampling, wanted)
    return frames.result(wanted, metadata)


class _DependentGroupError(Exception):
    """A group of pictures depends on the one before it.

    This happens although its first packet is marked as a keyframe, as in x264's intra-refresh.
    """


def _decode_frames(
    open_video: OpenVideo,
    index: int,
    timeline: PacketTimeline,
    sampling: Sampling,
    wanted: Mapping[str, Sequence[int]],
) -> "_FrameCollector":
    numbers = {number for numbers in wanted.values() for number in numbers}
    collector = _FrameCollector(timeline, sampling, numbers)
    with open_video() as container:
        stream = find_stream(container.streams.video, index)
        stream.thread_type = "AUTO"
        for picture in collector.decode(container, stream):
            check_deadline()
            collector.add(picture)
    return collector


def _video_stream(container: "InputContainer") -> tuple[int, dict[str, JsonValue]]:
    """Return the index of the video stream, and the header's facts about all streams."""
    facts = read_media_facts(container)
    if facts.video is None:
        kinds = ", ".join(sorted({s.type for s in container.streams})) or "nothing"
        raise Invalid(
            "the video stream is missing", expected="a video", got=kinds, reason="no_picture"
        )
    stream = find_stream(container.streams.video, facts.video.index)
    pixels = stream.codec_context.width * stream.codec_context.height
    if not 0 < pixels <= MAX_PIXELS:
        raise Invalid(
            "the video's pictures are too large, or have no size",
            expected=f"at most {MAX_PIXELS:,} pixels",
            got=f"{stream.codec_context.width} × {stream.codec_context.height}",
            reason="picture_too_large",
        )
    return facts.video.index, stream_facts(container)


def _frames_by_series(timeline: PacketTimeline, sampling: Sampling) -> dict[str, list[int]]:
    """Choose the frame numbers of each series, rising."""
    count = len(timeline.pts)
    wanted = {
        STRIDE.format(stride=stride): list(range(0, count, stride))[:limit]
        for stride, limit in sorted(sampling.strides.items())
    }
    if sampling.uniform:
        spread = _evenly_spread(timeline.pts, sampling.uniform)
        wanted[UNIFORM.format(count=sampling.uniform)] = spread
    return wanted


def _evenly_spread(pts: Sequence[int], count: int) -> list[int]:
    """Choose the frame displayed in the middle of each of `count` equal intervals.

    A frame that is displayed in the middle of several intervals is repeated.
    """
    steps = sorted(after - before for before, after in pairwise(pts))
    last = steps[len(steps) // 2] if steps else 1
    length = pts[-1] - pts[0] + last
    moments = (pts[0] + Fraction(length * (2 * share + 1), 2 * count) for share in range(count))
    return [bisect_right(pts, moment) - 1 for moment in moments]


@dataclass(kw_only=True)
class _DecodedFrames:
    """The wanted frames, and measurements of all decoded frames."""

    frames: dict[int, "NDArray[np.uint8]"] = field(default_factory=dict)
    numbers: list[int] = field(default_factory=list)
    change: list[float] = field(default_factory=list)
    rotation: int = 0
    decode_errors: int = 0
    damaged_frames: int = 0


class _FrameCollector:
    """Decodes the wanted frames of a video, and measures all that are decoded."""

    def __init__(self, timeline: PacketTimeline, sampling: Sampling, wanted: set[int]) -> None:
        self._timeline = timeline
        self._side = sampling.shorter_side
        self._number = {pts: number for number, pts in enumerate(timeline.pts)}
        self._wanted = wanted
        self._is_needed = _needed_packets(timeline, {timeline.pts[number] for number in wanted})
        self._first_of_group = {
            self._number.get(timeline.packets[index][0], -1)
            for index in range(1, len(self._is_needed))
            if self._is_needed[index] and not self._is_needed[index - 1]
        }
        self._count = 0
        self._size: tuple[int, int] | None = None
        self._previous: tuple[int, NDArray[np.int16]] | None = None
        self._decoded = _DecodedFrames()

    def decode(self, container: "InputContainer", stream: "VideoStream") -> Iterator["VideoFrame"]:
        """Yield the wanted pictures, and those that they depend on, in presentation order."""
        import av  # slow to import

        def pictures(packets: "Iterable[Packet[VideoStream]]") -> "Iterator[VideoFrame]":
            for packet in packets:
                try:
                    yield from packet.decode()
                except av.FFmpegError:
                    self._decoded.decode_errors += 1

        if self._timeline.packets:
            yield from pictures(self._select_needed(demux_stream(container, stream)))
            try:
                yield from stream.codec_context.decode(None)
            except av.FFmpegError:
                self._decoded.decode_errors += 1
            return
        for picture in decode_stream(container, stream):
            if isinstance(picture, Exception):
                self._decoded.decode_errors += 1
            else:
                yield picture

    def _select_needed(
        self, packets: "Iterator[Packet[VideoStream]]"
    ) -> "Iterator[Packet[VideoStream]]":
        for packet, is_needed in zip(packets, self._is_needed, strict=False):
            if is_needed:
                yield packet

    def _number_of(self, picture: "VideoFrame") -> int | None:
        """Return the frame's number in presentation order; None if its time is unknown."""
        if self._timeline.packets:
            return None if picture.pts is None else self._number.get(picture.pts)
        self._count += 1
        return self._count - 1

    def add(self, picture: "VideoFrame") -> None:
        """Measure how much a picture changed, and store it if it is wanted."""
        number = self._number_of(picture)
        if number is None:
            return
        if self._is_first_of_group(number) and picture.pict_type != I_PICTURE:
            raise _DependentGroupError
        self._decoded.damaged_frames += bool(picture.is_corrupt)
        rows = _rows(picture)
        previous, self._previous = self._previous, (number, rows)
        if previous is not None and previous[0] == number - 1 and previous[1].shape == rows.shape:
            self._decoded.numbers.append(number)
            self._decoded.change.append(float(abs(rows - previous[1]).mean()))
        if number in self._wanted and number not in self._decoded.frames:
            self._size = self._size or _target_size(picture, self._side)
            self._decoded.rotation = _quarters(picture) * 90
            self._decoded.frames[number] = _pixels(picture, self._size)

    def _is_first_of_group(self, number: int) -> bool:
        """Whether a frame is the first one after skipped packets."""
        return self._timeline.has_independent_groups and number in self._first_of_group

    def result(
        self, wanted: Mapping[str, Sequence[int]], metadata: dict[str, JsonValue]
    ) -> SampledVideo:
        """Return the sampled video; raise Invalid if no wanted frame was decoded."""
        import numpy as np  # slow to import

        found = self._decoded
        if not found.frames:
            raise Invalid(
                "the video cannot be decoded",
                expected="frames",
                got=f"none, and {found.decode_errors} errors",
                hint=FETCH_AGAIN,
                reason="video_undecodable",
            )
        return SampledVideo(
            metadata=metadata,
            series={name: self._series(numbers) for name, numbers in wanted.items()},
            time_base=self._timeline.time_base,
            pts=np.array(self._timeline.pts, np.int64),
            change_numbers=np.array(found.numbers, np.int64),
            change=np.array(found.change, np.float32),
            rotation=found.rotation,
            decode_errors=found.decode_errors,
            damaged_frames=found.damaged_frames,
        )

    def _series(self, numbers: Sequence[int]) -> Series:
        import numpy as np  # slow to import

        available = [number for number in numbers if number in self._decoded.frames]
        frames = [self._decoded.frames[number] for number in available]
        shape = next(iter(self._decoded.frames.values())).shape
        pts, time_base = self._timeline.pts, self._timeline.time_base
        return Series(
            frames=np.stack(frames) if frames else np.zeros((0, *shape), np.uint8),
            numbers=available,
            times_ms=[milliseconds((pts[number] - pts[0]) * time_base) for number in available],
        )


def _needed_packets(timeline: PacketTimeline, wanted: set[int]) -> list[bool]:
    """Mark the packets to decode: each group of pictures up to its last wanted frame.

    A frame that is presented before its group's first picture also needs the preceding group.
    """
    if not timeline.has_independent_groups:
        return [True] * len(timeline.packets)
    needed = [False] * len(timeline.packets)
    group = 0
    previous_group = 0
    for index, (pts, is_keyframe) in enumerate(timeline.packets):
        if is_keyframe:
            previous_group, group = group, index
        if pts in wanted:
            first = previous_group if pts < timeline.packets[group][0] else group
            needed[first : index + 1] = [True] * (index + 1 - first)
    return needed


def _rows(picture: "VideoFrame") -> "NDArray[np.int16]":
    """Return every 16th row of the picture's brightness, 0 to 255."""
    import numpy as np  # slow to import

    if picture.format.name not in PLANAR:
        picture = picture.reformat(format="gray")
    plane = picture.planes[0]
    pixels = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
    return pixels[::ROWS, : plane.width].astype(np.int16)


def _target_size(picture: "VideoFrame", shorter_side: int) -> tuple[int, int]:
    """Return (width, height) in square pixels, before the picture is turned upright."""
    ratio = picture.sample_aspect_ratio if hasattr(picture, "sample_aspect_ratio") else None
    wide = Fraction(picture.width) * (Fraction(ratio) if ratio else 1)
    scale = Fraction(shorter_side) / min(wide, Fraction(picture.height))
    width, height = _even(wide * scale), _even(picture.height * scale)
    if width * height > MAX_SAMPLED_PIXELS:
        raise Invalid(
            "the video's pictures are too long and narrow",
            expected=f"at most {MAX_SAMPLED_PIXELS:,} pixels per sampled frame",
            got=f"{width} × {height}",
            reason="picture_too_large",
        )
    return width, height


def _even(size: Fraction) -> int:
    return max(2, round(size / 2) * 2)


def _pixels(picture: "VideoFrame", size: tuple[int, int]) -> "NDArray[np.uint8]":
    """Return the picture as (3, h, w) uint8, red green blue, upright."""
    import numpy as np  # slow to import

    turned = np.rot90(scaled_pixels(picture, size, "rgb24"), _quarters(picture))
    return np.ascontiguousarray(turned.transpose(2, 0, 1), dtype=np.uint8)


def _quarters(picture: "VideoFrame") -> int:
    """Return how many quarter turns counter-clockwise make the picture upright."""
    return int(round(picture.rotation / 90) % 4)
