"""The time line of a video as its packets tell it, without decoding, and whether it is whole."""

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

from filmgate.core.errors import Invalid
from filmgate.tools.containers import FETCH_AGAIN, decoded
from filmgate.tools.limits import check_time

if TYPE_CHECKING:
    from av.container import InputContainer

MOST_LOST = 0.01
"""The share of frames that may be missing of what the header claims before a file counts as cut
off: encoders miscount by a frame or two."""
SLACK_S = Fraction(2)
"""How much later than the last frame a whole video may end: it may be shown that long."""

Open = Callable[[], AbstractContextManager["InputContainer"]]
"""Opens the video anew, at its start."""


@dataclass(frozen=True, kw_only=True)
class PacketLine:
    """The packets of a video."""

    time_base: Fraction
    pts: list[int]
    """Of all frames, in order of presentation."""
    packets: list[tuple[int, bool]]
    """(pts, whether it can be decoded without others) in order of decoding; empty where packets
    have no timestamps: then everything is decoded, and frames are numbered as they come out."""
    is_apart: bool = True
    """Whether groups of pictures can be decoded without those before them."""


def packet_line(container: "InputContainer", stream: Any) -> PacketLine | None:
    """The time line as the packets tell it, without decoding; None where they do not."""
    packets: list[tuple[int, bool]] = []
    shown: set[int] = set()
    for packet in demuxed(container, stream):
        if packet.pts is None:
            return None
        packets.append((packet.pts, bool(packet.is_keyframe)))
        if not packet.is_discard:
            shown.add(packet.pts)
    return PacketLine(time_base=Fraction(stream.time_base), pts=sorted(shown), packets=packets)


def demuxed(container: "InputContainer", stream: Any) -> Iterator[Any]:
    """The packets of a stream, up to where the file breaks off."""
    import av  # heavy

    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except av.FFmpegError:
            return
        if packet is None:
            return
        check_time()
        if packet.size:
            yield packet


def decoded_line(open_video: Open, index: int) -> PacketLine:
    """The time line as the decoder tells it, for containers whose packets have no timestamps."""
    with open_video() as container:
        stream: Any = container.streams[index]
        pts: list[int] = []
        for each in decoded(container, stream):
            check_time()
            if not isinstance(each, Exception):
                step = pts[-1] + 1 if pts else 0
                pts.append(max(step, each.pts if each.pts is not None else step))
        return PacketLine(time_base=Fraction(stream.time_base), pts=pts, packets=[])


class Claimed(NamedTuple):
    """What the header says of the pictures."""

    frames: int
    """0 where it does not say."""
    seconds: Fraction | None


def claimed_by(container: "InputContainer", stream: Any) -> Claimed:
    """How many frames, and how long: of the stream, or of a container that has no other."""
    if stream.duration:
        return Claimed(stream.frames, stream.duration * Fraction(stream.time_base))
    told = str(stream.metadata.get("DURATION", ""))  # Matroska's, as FFmpeg and OBS write it
    if found := _CLOCK.fullmatch(told):
        hours, minutes, seconds = found.groups()
        return Claimed(stream.frames, int(hours) * 3600 + int(minutes) * 60 + Fraction(seconds))
    if len(container.streams) == 1 and container.duration:
        return Claimed(stream.frames, Fraction(container.duration, 1_000_000))
    return Claimed(stream.frames, None)


_CLOCK = re.compile(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)")


def check_whole(line: PacketLine, claimed: Claimed) -> None:
    """Raise Invalid, with a `reason`, where there are no frames, or fewer than are claimed."""
    if not line.pts:
        raise Invalid(
            "no frame of it can be found",
            expected="a video with timestamps",
            got="none",
            hint=FETCH_AGAIN,
            reason="no_frames",
        )
    frames = len(line.packets) or len(line.pts)
    seconds = (line.pts[-1] - line.pts[0]) * line.time_base
    length = claimed.seconds or Fraction(0)
    lacking = length - seconds
    is_short = lacking > SLACK_S and lacking > length * MOST_LOST
    if is_short or frames < claimed.frames * (1 - MOST_LOST):
        raise Invalid(
            "the video is cut off",
            expected=f"{claimed.frames or 'frames'} over {float(length):.1f} s"
            if is_short
            else f"{claimed.frames} frames, as its header claims",
            got=f"{frames} over {float(seconds):.1f} s" if is_short else f"{frames}",
            hint=FETCH_AGAIN,
            reason="video_truncated",
        )
