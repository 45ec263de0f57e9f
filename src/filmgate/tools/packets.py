"""Read the timeline of a video from its packets, and check that the video is complete.

The video is decoded only if its packets have no timestamps.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

from filmgate.core.errors import Invalid
from filmgate.tools.containers import FETCH_AGAIN, decode_stream, find_stream, time_base
from filmgate.tools.resource_limits import check_deadline

if TYPE_CHECKING:
    from av import Packet, VideoStream
    from av.container import InputContainer

MAX_MISSING_SHARE = 0.01
"""Share of the frames counted in the header that a complete file may lack: encoders miscount by a
frame or two. A file that lacks more is truncated."""
SLACK_S = Fraction(2)
"""Greatest difference between the duration in the header and the presentation times of a complete
video, in seconds: its last frame may be displayed that long."""

OpenVideo = Callable[[], AbstractContextManager["InputContainer"]]
"""Opens the video, positioned at its start; can be called repeatedly."""


@dataclass(frozen=True, kw_only=True)
class PacketTimeline:
    """The presentation times of a video's frames, and its packets."""

    time_base: Fraction
    pts: list[int]
    """Presentation times of all frames, in presentation order."""
    packets: list[tuple[int, bool]]
    """(pts, whether it is a keyframe) in decoding order. Empty if packets have no timestamps: then
    everything is decoded, and frames are numbered in the order of the decoder's output."""
    has_independent_groups: bool = True
    """Whether each group of pictures can be decoded without the groups before it."""


def packet_timeline(container: "InputContainer", stream: "VideoStream") -> PacketTimeline | None:
    """Read the timeline from the packets, without decoding; None if a packet has no timestamp."""
    packets: list[tuple[int, bool]] = []
    shown: set[int] = set()
    for packet in demux_stream(container, stream):
        if packet.pts is None:
            return None
        packets.append((packet.pts, bool(packet.is_keyframe)))
        if not packet.is_discard:
            shown.add(packet.pts)
    return PacketTimeline(time_base=time_base(stream), pts=sorted(shown), packets=packets)


def demux_stream(
    container: "InputContainer", stream: "VideoStream"
) -> Iterator["Packet[VideoStream]"]:
    """Yield the packets of a stream, up to the first demuxing error or the end of the file."""
    import av  # slow to import

    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except av.FFmpegError:
            return
        if packet is None:
            return
        check_deadline()
        if packet.size:
            yield packet


def decoded_timeline(open_video: OpenVideo, index: int) -> PacketTimeline:
    """Read the timeline by decoding, for containers whose packets have no timestamps."""
    with open_video() as container:
        stream = find_stream(container.streams.video, index)
        pts: list[int] = []
        for frame in decode_stream(container, stream):
            check_deadline()
            if not isinstance(frame, Exception):
                step = pts[-1] + 1 if pts else 0
                pts.append(max(step, frame.pts if frame.pts is not None else step))
        return PacketTimeline(time_base=time_base(stream), pts=pts, packets=[])


class HeaderClaims(NamedTuple):
    """Length of a video stream according to the header."""

    frames: int
    """Number of frames; 0 if the header does not state it."""
    seconds: Fraction | None


def header_claims(container: "InputContainer", stream: "VideoStream") -> HeaderClaims:
    """Read the number of frames and the duration of the stream from the header.

    If the stream has no duration and is the only one, the duration is that of the container.
    """
    if stream.duration:
        return HeaderClaims(stream.frames, stream.duration * time_base(stream))
    tag = str(stream.metadata.get("DURATION", ""))  # Matroska's, as FFmpeg and OBS write it
    if found := _CLOCK.fullmatch(tag):
        hours, minutes, seconds = found.groups()
        duration = int(hours) * 3600 + int(minutes) * 60 + Fraction(seconds)
        return HeaderClaims(stream.frames, duration)
    if len(container.streams) == 1 and container.duration:
        return HeaderClaims(stream.frames, Fraction(container.duration, 1_000_000))
    return HeaderClaims(stream.frames, None)


_CLOCK = re.compile(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)")


def check_complete(timeline: PacketTimeline, claims: HeaderClaims) -> None:
    """Raise Invalid, with a `reason`, if the video has no frames or fewer than its header claims.

    Up to `MAX_MISSING_SHARE` of the frames, or `SLACK_S` seconds, may be missing.
    """
    if not timeline.pts:
        raise Invalid(
            "the video has no frames",
            expected="at least one frame with a timestamp",
            got="none",
            hint=FETCH_AGAIN,
            reason="no_frames",
        )
    frames = len(timeline.packets) or len(timeline.pts)
    seconds = (timeline.pts[-1] - timeline.pts[0]) * timeline.time_base
    length = claims.seconds or Fraction(0)
    lacking = length - seconds
    is_short = lacking > SLACK_S and lacking > length * MAX_MISSING_SHARE
    if is_short or frames < claims.frames * (1 - MAX_MISSING_SHARE):
        raise Invalid(
            "the video is truncated",
            expected=f"{claims.frames or 'all'} frames in {float(length):.1f} s"
            if is_short
            else f"{claims.frames} frames, as the header claims",
            got=f"{frames} frames in {float(seconds):.1f} s" if is_short else f"{frames} frames",
            hint=FETCH_AGAIN,
            reason="video_truncated",
        )
