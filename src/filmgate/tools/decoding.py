"""Decode video and audio with exact presentation times, one pass at a time."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from filmgate.core.errors import Invalid
from filmgate.media.container import MediaFacts
from filmgate.tools.containers import decode_stream, find_stream, open_media, read_media_facts
from filmgate.tools.containers import time_base as time_base_of

if TYPE_CHECKING:
    import numpy as np
    from av import AudioFrame, VideoFrame, VideoStream
    from av.container import InputContainer
    from numpy.typing import NDArray

MAX_DRIFT_S = Fraction(1, 20)
"""Largest tolerated difference, in seconds, between the position of audio samples and their
timestamp. Encoders round the timestamps of blocks; a real gap is longer than this."""

SLACK_S = 60
"""Longest time in seconds by which a timestamp may exceed the duration in the header; a later one
is invalid."""

RESTART_S = 1
"""Timestamps that fall back by more than this many seconds have restarted; by less, they are out of
order."""


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One decoded picture."""

    number: int
    """0-based number among the decoded frames, in presentation order."""
    pts: int
    time: Fraction
    """Presentation time in seconds on the asset's timeline."""
    duration: int | None
    """Duration in ticks according to the frame; None if the frame has none."""
    picture: "VideoFrame"
    """PyAV's frame; `pixels` converts it to an array."""


class VideoReader:
    """One pass over the frames of a file, which also counts the frames that cannot be used."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.decode_errors = 0
        self.damaged_frames = 0
        """Number of frames decoded from broken data, whose pictures may be wrong."""
        self.frames_without_time = 0
        """Number of frames with a missing timestamp or one that does not rise; not yielded."""
        self.restarts = 0
        """Number of times that the timestamps restarted (recordings joined end to end)."""

    def __iter__(self) -> Iterator[Frame]:
        """Yield frames with rising timestamps. Broken packets are counted and skipped."""
        with open_media(self._path) as container:
            facts = read_media_facts(container)
            if facts.video is None:
                return
            stream = find_stream(container.streams.video, facts.video.index)
            stream.thread_type = "SLICE"
            time_base = time_base_of(stream)
            timeline = _VideoTimeline(time_base, facts)
            for number, picture in enumerate(self._decode(container, stream)):
                pts = timeline.place(picture.pts)
                if pts is None:
                    self.frames_without_time += 1
                    continue
                yield Frame(
                    number=number,
                    pts=pts,
                    time=max(Fraction(0), pts * time_base - facts.origin),
                    duration=picture.duration or None,
                    picture=picture,
                )
            self.restarts = timeline.restarts

    def _decode(self, container: "InputContainer", stream: "VideoStream") -> Iterator["VideoFrame"]:
        for picture in decode_stream(container, stream):
            if isinstance(picture, Exception):
                self.decode_errors += 1
            else:
                self.damaged_frames += bool(picture.is_corrupt)
                yield picture


def scaled_size(frame: Frame, *, width: int) -> tuple[int, int]:
    """Return (width, height) of about this width, with the same aspect ratio, both even."""
    picture = frame.picture
    wide = max(2, min(width, picture.width) // 2 * 2)
    return wide, max(2, round(picture.height * wide / picture.width / 2) * 2)


def pixels(frame: Frame, size: tuple[int, int]) -> "NDArray[np.uint8]":
    """Return the frame at this (width, height): (h, w, 3) uint8, blue green red, not rotated.

    A film may change its frame size midway; the given size applies to all frames.

    """
    return scaled_pixels(frame.picture, size, "bgr24")


def scaled_pixels(
    picture: "VideoFrame", size: tuple[int, int], pixel_format: str
) -> "NDArray[np.uint8]":
    """Return a picture scaled to (width, height), in a pixel format of FFmpeg: (h, w, 3) uint8.

    The picture is scaled first and then converted: if FFmpeg's scaler does both at once, it adds
    noise to pixels near black that looks like a cut (measured on two clips: 101 and 110 of 255
    instead of 4 and 1).
    """
    import av  # slow to import
    import numpy as np

    width, height = size
    area = av.video.reformatter.Interpolation.AREA
    scaled = picture.reformat(width=width, height=height, format="yuv420p", interpolation=area)
    return np.asarray(scaled.reformat(format=pixel_format).to_ndarray(), np.uint8)


def fitted_size(frame: Frame, *, longest: int) -> tuple[int, int]:
    """Return (width, height) of the frame scaled down to at most `longest` pixels on each side.

    The aspect ratio is preserved, and both numbers are even. The frame is as stored, not rotated.
    """
    picture = frame.picture
    scale = min(1.0, longest / max(picture.width, picture.height))
    return (
        max(2, round(picture.width * scale / 2) * 2),
        max(2, round(picture.height * scale / 2) * 2),
    )


def upright(frame: Frame, size: tuple[int, int]) -> "NDArray[np.uint8]":
    """Return the frame as displayed: (h, w, 3) uint8, blue green red, rotated upright.

    `size`: (width, height) before rotation. Of an interlaced frame only the upper field is used,
    because the two fields show different moments.
    """
    import numpy as np  # slow to import

    image = _field(frame, size) if frame.picture.interlaced_frame else pixels(frame, size)
    quarters = round(frame.picture.rotation / 90) % 4
    turned: NDArray[np.uint8] = np.ascontiguousarray(np.rot90(image, quarters))
    return turned


def _field(frame: Frame, size: tuple[int, int]) -> "NDArray[np.uint8]":
    import cv2  # slow to import
    import numpy as np

    whole = np.asarray(frame.picture.to_ndarray(format="bgr24"), np.uint8)
    return np.asarray(cv2.resize(whole[::2], size, interpolation=cv2.INTER_AREA), np.uint8)


class _VideoTimeline:
    """Assigns rising presentation times to frames, across restarts of the timestamps."""

    def __init__(self, time_base: Fraction, facts: MediaFacts) -> None:
        self._restart = int(RESTART_S / time_base)
        self._slack = int(SLACK_S / time_base)
        claimed = facts.duration or Fraction(0)
        self._claimed_end = int((facts.origin + claimed) / time_base)
        self._offset = 0
        self._last: int | None = None
        self._step = 1
        self.restarts = 0

    def place(self, pts: int | None) -> int | None:
        """Return the frame's presentation time in ticks.

        None if its timestamp is missing or invalid.
        """
        if pts is None:
            return None
        if self._last is None:
            self._last = pts
            return pts
        placed = pts + self._offset
        if placed < self._last - self._restart:
            self._offset += self._last + self._step - placed
            placed = self._last + self._step
            self.restarts += 1
        is_stray = placed > max(self._last, self._claimed_end) + self._slack
        if placed <= self._last or is_stray:
            return None
        self._step, self._last = placed - self._last, placed
        return placed


class SoundReader:
    """One pass over the audio of a file, as one channel aligned to the asset's timeline."""

    def __init__(self, path: Path, *, rate: int, channel: int | None = None) -> None:
        """`rate`: samples per second. `channel`: 0 for left, 1 for right, None to mix all."""
        self._path = path
        self._channel = channel
        self.rate = rate
        self.decode_errors = 0

    def __iter__(self) -> Iterator["NDArray[np.int16]"]:
        """Yield blocks of samples, (n,) int16.

        The sample with index k, counted over all blocks, is at k / rate seconds. Gaps in the
        timestamps are filled with silence, and overlaps are cut. Raises Invalid if a timestamp is
        far beyond the end of the file.
        """
        import av  # slow to import

        with open_media(self._path) as container:
            facts = read_media_facts(container)
            if not facts.audio:
                return
            stream = find_stream(container.streams.audio, facts.audio[0].index)
            layout = "mono" if self._channel is None else "stereo"
            resampler = av.AudioResampler(format="s16", layout=layout, rate=self.rate)
            timeline = _AudioTimeline(rate=self.rate, limit_s=_latest_start(facts))
            for frame in decode_stream(container, stream):
                if isinstance(frame, Exception):
                    self.decode_errors += 1
                    continue
                start = _start_of(frame, facts)
                for block in resampler.resample(frame):
                    yield from timeline.place(self._samples(block), start)
                    start = None
            for block in resampler.resample(None):
                yield from timeline.place(self._samples(block), None)

    def _samples(self, block: "AudioFrame") -> "NDArray[np.int16]":
        import numpy as np  # slow to import

        array = np.asarray(block.to_ndarray(), np.int16).ravel()
        return array if self._channel is None else array[self._channel :: 2]


def channel_correlation(path: Path, *, rate: int) -> float:
    """Return the correlation of the left and right channel, −1 to 1; 1 if one of them is silent."""
    import numpy as np  # slow to import

    sums = np.zeros(3)
    channels = (SoundReader(path, rate=rate, channel=channel) for channel in (0, 1))
    for left, right in zip(*channels, strict=True):
        pair = left.astype(np.float64), right.astype(np.float64)
        sums += [pair[0] @ pair[0], pair[1] @ pair[1], pair[0] @ pair[1]]
    loudness = float(np.sqrt(sums[0] * sums[1]))
    return float(sums[2]) / loudness if loudness else 1.0


class _AudioTimeline:
    """Aligns blocks of audio samples to their timestamps."""

    def __init__(self, *, rate: int, limit_s: Fraction | None) -> None:
        self._rate = rate
        self._limit_s = limit_s
        self._placed = 0
        self._offset = Fraction(0)

    def place(
        self, samples: "NDArray[np.int16]", start: Fraction | None
    ) -> Iterator["NDArray[np.int16]"]:
        """Yield the block, preceded by silence or with its beginning cut, as its start requires."""
        if start is not None:
            drift = start + self._offset - Fraction(self._placed, self._rate)
            if drift < -RESTART_S:
                self._offset -= drift
                drift = Fraction(0)
            if drift > MAX_DRIFT_S:
                yield from self._silence(int(drift * self._rate), start)
            elif drift < -MAX_DRIFT_S:
                samples = samples[int(-drift * self._rate) :]
        self._placed += len(samples)
        if len(samples):
            yield samples

    def _silence(self, count: int, start: Fraction) -> Iterator["NDArray[np.int16]"]:
        import numpy as np  # slow to import

        if self._limit_s is not None and start > self._limit_s + self._offset:
            raise Invalid(
                "a timestamp of the audio is far beyond the end",
                expected=f"at most {float(self._limit_s):.0f} s",
                got=f"{float(start):.0f} s",
            )
        self._placed += count
        while count:
            size = min(count, self._rate)
            yield np.zeros(size, dtype=np.int16)
            count -= size


def _start_of(frame: "AudioFrame", facts: MediaFacts) -> Fraction | None:
    if frame.pts is None or frame.time_base is None:
        return None
    return Fraction(frame.pts) * Fraction(frame.time_base) - facts.origin


def _latest_start(facts: MediaFacts) -> Fraction | None:
    return None if facts.duration is None else facts.duration + SLACK_S
