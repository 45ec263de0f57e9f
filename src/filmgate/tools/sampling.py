"""Sampling: a few frames of a video, decoded once, and what its packets tell of all the others."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from filmgate.core.errors import Invalid
from filmgate.core.gameplay import STRIDE, UNIFORM, Sampling
from filmgate.media.time import milliseconds
from filmgate.tools.containers import FETCH_AGAIN, decoded, facts_of
from filmgate.tools.limits import check_time
from filmgate.tools.packets import (
    Open,
    PacketLine,
    check_whole,
    claimed_by,
    decoded_line,
    demuxed,
    packet_line,
)
from filmgate.tools.stream_facts import stream_facts

if TYPE_CHECKING:
    import numpy as np
    from av.container import InputContainer
    from numpy.typing import NDArray

MAX_PIXELS = 8192 * 4608
"""Of a picture: more is no recording of a screen, and a frame of it takes 100 MB."""

I_PICTURE = 1
"""The type of a picture that stands alone, as FFmpeg numbers them."""
PLANAR = frozenset(
    {"yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p", "nv12", "gray"}
)
"""Formats whose first plane is brightness, a byte a pixel."""

ROWS = 16
"""One row of so many is looked at for how much a picture changed."""

MAX_SAMPLED_PIXELS = 4_000_000
"""Of a frame as it is kept: a picture of 4096 × 16 would have rows of 65536."""


class Series(NamedTuple):
    """Frames that were sampled in one way."""

    frames: "NDArray[np.uint8]"
    """(n, 3, h, w) uint8, red green blue, upright."""
    numbers: list[int]
    """Of each frame, 0-based in order of presentation."""
    times_ms: list[int]
    """When each is first shown, from the start of the video."""


@dataclass(frozen=True, kw_only=True)
class SampledVideo:
    """What was sampled of a video, and what is known of the rest."""

    metadata: dict[str, Any]
    """Its format and streams as the header tells, in the names of ffprobe."""
    series: Mapping[str, Series]
    time_base: Fraction
    pts: "NDArray[np.int64]"
    """(n,) of every frame, rising, in ticks of the time base: the time line of the recording."""
    change_numbers: "NDArray[np.int64]"
    """(m,) frames that were decoded right after the one before them."""
    change: "NDArray[np.float32]"
    """(m,) the mean absolute change of their brightness since then, 0 to 255, on every 16th row:
    0 where the picture is the same."""
    rotation: int
    """How far the pictures were turned to stand upright, in degrees: 0, 90, 180 or 270."""
    decode_errors: int
    damaged_frames: int

    @property
    def is_variable_rate(self) -> bool:
        """Whether the steps from frame to frame differ by more than a tick."""
        steps = self.pts[1:] - self.pts[:-1]
        return bool(len(steps)) and int(steps.max()) - int(steps.min()) > 1


def sample(open_video: Open, sampling: Sampling) -> SampledVideo:
    """Sample a video; Invalid, with a `reason`, where there is none that can be decoded.

    Groups of pictures without a frame that is wanted are read but not decoded, and none is
    decoded beyond the last frame that is wanted of it. Frames that cannot be decoded are left out
    of their series; the errors are counted.
    """
    with open_video() as container:
        index, metadata = _video(container)
        line = packet_line(container, container.streams[index])
        claimed = claimed_by(container, container.streams[index])
    if line is None:
        line = decoded_line(open_video, index)
    check_whole(line, claimed)
    wanted = _wanted(line, sampling)
    try:
        return _picked(open_video, index, line, sampling, wanted).result(wanted, metadata)
    except _NotApartError:
        everything = replace(line, is_apart=False)
        return _picked(open_video, index, everything, sampling, wanted).result(wanted, metadata)


class _NotApartError(Exception):
    """A group of pictures does not begin with one that stands alone: its packets say so, but it
    is made whole from picture to picture (x264's intra-refresh)."""


def _picked(
    open_video: Open,
    index: int,
    line: "PacketLine",
    sampling: Sampling,
    wanted: Mapping[str, Sequence[int]],
) -> "_Picked":
    picked = _Picked(line, sampling, {number for numbers in wanted.values() for number in numbers})
    with open_video() as container:
        stream: Any = container.streams[index]
        stream.thread_type = "AUTO"
        for picture in picked.decoded(container, stream):
            check_time()
            picked.take(picture)
    return picked


def _video(container: "InputContainer") -> tuple[int, dict[str, Any]]:
    """Which stream the picture is, and what the header tells."""
    facts = facts_of(container)
    if facts.video is None:
        kinds = ", ".join(sorted({s.type for s in container.streams})) or "nothing"
        raise Invalid(
            "there is no picture in it", expected="a video", got=kinds, reason="no_picture"
        )
    stream: Any = container.streams[facts.video.index]
    pixels = stream.codec_context.width * stream.codec_context.height
    if not 0 < pixels <= MAX_PIXELS:
        raise Invalid(
            "its pictures are too large, or have no size",
            expected=f"at most {MAX_PIXELS:,} pixels",
            got=f"{stream.codec_context.width} × {stream.codec_context.height}",
            reason="picture_too_large",
        )
    return facts.video.index, stream_facts(container)


def _wanted(line: PacketLine, sampling: Sampling) -> dict[str, list[int]]:
    """The numbers of the frames of each series, rising."""
    count = len(line.pts)
    wanted = {
        STRIDE.format(stride=stride): list(range(0, count, stride))[:most]
        for stride, most in sorted(sampling.strides.items())
    }
    if sampling.uniform:
        wanted[UNIFORM.format(count=sampling.uniform)] = _spread(line.pts, sampling.uniform)
    return wanted


def _spread(pts: Sequence[int], count: int) -> list[int]:
    """The frames that are shown in the middle of each of `count` equal shares of the time; one
    that is shown for several shares counts as often."""
    steps = sorted(after - before for before, after in pairwise(pts))
    last = steps[len(steps) // 2] if steps else 1
    length = pts[-1] - pts[0] + last
    moments = (pts[0] + Fraction(length * (2 * share + 1), 2 * count) for share in range(count))
    return [bisect_right(pts, moment) - 1 for moment in moments]


@dataclass(kw_only=True)
class _Seen:
    """What of the frames that were decoded is kept."""

    frames: dict[int, "NDArray[np.uint8]"] = field(default_factory=dict)
    numbers: list[int] = field(default_factory=list)
    change: list[float] = field(default_factory=list)
    rotation: int = 0
    decode_errors: int = 0
    damaged_frames: int = 0


class _Picked:
    """Decodes what is wanted of a video, and picks it out."""

    def __init__(self, line: PacketLine, sampling: Sampling, wanted: set[int]) -> None:
        self._line = line
        self._side = sampling.shorter_side
        self._number = {pts: number for number, pts in enumerate(line.pts)}
        self._wanted = wanted
        self._fed = _needed(line, {line.pts[number] for number in wanted})
        self._firsts = {
            self._number.get(line.packets[place][0], -1)
            for place in range(1, len(self._fed))
            if self._fed[place] and not self._fed[place - 1]
        }
        self._count = 0
        self._size: tuple[int, int] | None = None
        self._before: tuple[int, NDArray[np.int16]] | None = None
        self._seen = _Seen()

    def decoded(self, container: "InputContainer", stream: Any) -> Iterator[Any]:
        """Pictures in order of presentation; those that are wanted, and what they need."""
        import av  # heavy

        def pictures(packets: Iterable[Any]) -> Iterator[Any]:
            for packet in packets:
                try:
                    yield from packet.decode()
                except av.FFmpegError:
                    self._seen.decode_errors += 1

        if self._line.packets:
            yield from pictures(self._needed(demuxed(container, stream)))
            try:
                yield from stream.codec_context.decode(None)
            except av.FFmpegError:
                self._seen.decode_errors += 1
            return
        for each in decoded(container, stream):
            if isinstance(each, Exception):
                self._seen.decode_errors += 1
            else:
                yield each

    def _needed(self, packets: Iterator[Any]) -> Iterator[Any]:
        """The packets that are to be decoded."""
        for packet, is_fed in zip(packets, self._fed, strict=False):
            if is_fed:
                yield packet

    def _number_of(self, picture: Any) -> int | None:
        """Which frame it is, in order of presentation; None where it is none of them."""
        if self._line.packets:
            return self._number.get(picture.pts)
        self._count += 1
        return self._count - 1

    def take(self, picture: Any) -> None:
        """Look at a picture: how much it changed; keep it where it is wanted."""
        number = self._number_of(picture)
        if number is None:
            return
        if self._is_first_of_group(number) and picture.pict_type != I_PICTURE:
            raise _NotApartError
        self._seen.damaged_frames += bool(picture.is_corrupt)
        rows = _rows(picture)
        before, self._before = self._before, (number, rows)
        if before is not None and before[0] == number - 1 and before[1].shape == rows.shape:
            self._seen.numbers.append(number)
            self._seen.change.append(float(abs(rows - before[1]).mean()))
        if number in self._wanted and number not in self._seen.frames:
            self._size = self._size or _target_size(picture, self._side)
            self._seen.rotation = _quarters(picture) * 90
            self._seen.frames[number] = _pixels(picture, self._size)

    def _is_first_of_group(self, number: int) -> bool:
        """Whether it is the first after packets that were passed over."""
        return self._line.is_apart and number in self._firsts

    def result(self, wanted: Mapping[str, Sequence[int]], metadata: dict[str, Any]) -> SampledVideo:
        """Everything that was picked; Invalid where that is nothing."""
        import numpy as np  # heavy

        seen = self._seen
        if not seen.frames:
            raise Invalid(
                "nothing of it can be decoded",
                expected="frames",
                got=f"none, and {seen.decode_errors} errors",
                hint=FETCH_AGAIN,
                reason="video_undecodable",
            )
        return SampledVideo(
            metadata=metadata,
            series={name: self._series(numbers) for name, numbers in wanted.items()},
            time_base=self._line.time_base,
            pts=np.array(self._line.pts, np.int64),
            change_numbers=np.array(seen.numbers, np.int64),
            change=np.array(seen.change, np.float32),
            rotation=seen.rotation,
            decode_errors=seen.decode_errors,
            damaged_frames=seen.damaged_frames,
        )

    def _series(self, numbers: Sequence[int]) -> Series:
        import numpy as np  # heavy

        there = [number for number in numbers if number in self._seen.frames]
        line = self._line
        frames = [self._seen.frames[number] for number in there]
        shape = next(iter(self._seen.frames.values())).shape
        return Series(
            frames=np.stack(frames) if frames else np.zeros((0, *shape), np.uint8),
            numbers=there,
            times_ms=[
                milliseconds((line.pts[number] - line.pts[0]) * line.time_base) for number in there
            ],
        )


def _needed(line: PacketLine, wanted: set[int]) -> list[bool]:
    """Which packets are to be decoded, in their order: of each group of pictures, up to the last
    that is wanted. One that is shown before its group's first picture needs the group before."""
    if not line.is_apart:
        return [True] * len(line.packets)
    fed = [False] * len(line.packets)
    begin = 0
    earlier = 0
    for place, (pts, is_key) in enumerate(line.packets):
        if is_key:
            earlier, begin = begin, place
        if pts in wanted:
            first = earlier if pts < line.packets[begin][0] else begin
            fed[first : place + 1] = [True] * (place + 1 - first)
    return fed


def _rows(picture: Any) -> "NDArray[np.int16]":
    """Every 16th row of the brightness, 0 to 255."""
    import numpy as np  # heavy

    if picture.format.name not in PLANAR:
        picture = picture.reformat(format="gray")
    plane = picture.planes[0]
    pixels = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
    return pixels[::ROWS, : plane.width].astype(np.int16)


def _target_size(picture: Any, shorter_side: int) -> tuple[int, int]:
    """(width, height) before turning it upright, of square pixels."""
    ratio = picture.sample_aspect_ratio if hasattr(picture, "sample_aspect_ratio") else None
    wide = Fraction(picture.width) * (Fraction(ratio) if ratio else 1)
    scale = Fraction(shorter_side) / min(wide, picture.height)
    width, height = _even(wide * scale), _even(picture.height * scale)
    if width * height > MAX_SAMPLED_PIXELS:
        raise Invalid(
            "its pictures are too long and narrow",
            expected=f"at most {MAX_SAMPLED_PIXELS:,} pixels a sampled frame",
            got=f"{width} × {height}",
            reason="picture_too_large",
        )
    return width, height


def _even(size: Fraction) -> int:
    return max(2, round(size / 2) * 2)


def _pixels(picture: Any, size: tuple[int, int]) -> "NDArray[np.uint8]":
    """(3, h, w) uint8, red green blue, upright. Scaled first and then converted: FFmpeg's scaler,
    asked for both at once, adds noise to pixels near black."""
    import av  # heavy
    import numpy as np

    width, height = size
    area = av.video.reformatter.Interpolation.AREA
    scaled = picture.reformat(width=width, height=height, format="yuv420p", interpolation=area)
    rgb = scaled.reformat(format="rgb24").to_ndarray()
    turned = np.rot90(rgb, _quarters(picture))
    return np.ascontiguousarray(turned.transpose(2, 0, 1), dtype=np.uint8)


def _quarters(picture: Any) -> int:
    """How many quarter turns to the left make it upright."""
    return int(round(picture.rotation / 90) % 4)
