"""Decoding: pictures and sound with their exact presentation times, each pass on its own."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filmgate.core.errors import Invalid
from filmgate.media.container import MediaFacts
from filmgate.tools.containers import decoded as decoded_frames
from filmgate.tools.containers import facts_of, opened

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MAX_DRIFT_S = Fraction(1, 20)
"""How far sound may stray from its timestamps before it is put back on them. Encoders round
the stamps of their blocks; a real gap is longer than this."""

SLACK_S = 60
"""How far beyond the claimed duration a timestamp may lie before it is called broken."""

RESTART_S = 1
"""Timestamps that fall back further than this began anew; less is disorder."""


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One decoded picture."""

    number: int
    """0-based, over decoded frames in order of presentation."""
    pts: int
    time: Fraction
    """When it is first shown, in seconds on the asset's time line."""
    duration: int | None
    """How many ticks it says it lasts; None where it does not say."""
    picture: Any
    """The decoder's own frame; `pixels` makes an array of it."""


class VideoReader:
    """One pass over the pictures of a file. Counts what could not be used while it goes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.decode_errors = 0
        self.damaged_frames = 0
        """Frames that were decoded from broken data: what they show may be wrong."""
        self.frames_without_time = 0
        """Frames with no timestamp, or with one that does not rise. They are not yielded."""
        self.restarts = 0
        """How often the timestamps began anew (recordings joined end to end)."""

    def __iter__(self) -> Iterator[Frame]:
        """Frames with rising timestamps. Broken packets are counted and passed over."""
        with opened(self._path) as container:
            facts = facts_of(container)
            if facts.video is None:
                return
            stream: Any = container.streams[facts.video.index]
            stream.thread_type = "SLICE"
            time_base = Fraction(stream.time_base)
            line = _PictureLine(time_base, facts)
            for number, picture in enumerate(self._pictures(container, stream)):
                pts = line.place(picture.pts)
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
            self.restarts = line.restarts

    def _pictures(self, container: Any, stream: Any) -> Iterator[Any]:
        for decoded in decoded_frames(container, stream):
            if isinstance(decoded, Exception):
                self.decode_errors += 1
            else:
                self.damaged_frames += bool(decoded.is_corrupt)
                yield decoded


def scaled_size(frame: Frame, *, width: int) -> tuple[int, int]:
    """(width, height) of about this width, aspect kept, both even."""
    picture = frame.picture
    wide = max(2, min(width, picture.width) // 2 * 2)
    return wide, max(2, round(picture.height * wide / picture.width / 2) * 2)


def pixels(frame: Frame, size: tuple[int, int]) -> "NDArray[np.uint8]":
    """The frame at this (width, height): (h, w, 3) uint8, blue green red, as stored.

    A film may change its size on the way; the caller's size holds for all of it.

    Scaled first and then converted: FFmpeg's scaler, asked for both at once, adds noise to
    pixels near black that measures like a cut (found on two clips: 101 and 110 of 255 instead
    of 4 and 1).
    """
    import av  # heavy

    width, height = size
    area = av.video.reformatter.Interpolation.AREA
    scaled = frame.picture.reformat(
        width=width, height=height, format="yuv420p", interpolation=area
    )
    array: NDArray[np.uint8] = scaled.reformat(format="bgr24").to_ndarray()
    return array


def fitted_size(frame: Frame, *, longest: int) -> tuple[int, int]:
    """(width, height) as stored, aspect kept, both even, neither longer than `longest`."""
    picture = frame.picture
    scale = min(1.0, longest / max(picture.width, picture.height))
    return (
        max(2, round(picture.width * scale / 2) * 2),
        max(2, round(picture.height * scale / 2) * 2),
    )


def upright(frame: Frame, size: tuple[int, int]) -> "NDArray[np.uint8]":
    """The frame as it is displayed: (h, w, 3) uint8, blue green red, turned upright.

    `size`: (width, height) before it is turned. Of an interlaced picture the upper field alone
    is taken: two moments would stand in one picture otherwise.
    """
    import numpy as np  # heavy

    image = _field(frame, size) if frame.picture.interlaced_frame else pixels(frame, size)
    quarters = round(frame.picture.rotation / 90) % 4
    turned: NDArray[np.uint8] = np.ascontiguousarray(np.rot90(image, quarters))
    return turned


def _field(frame: Frame, size: tuple[int, int]) -> "NDArray[np.uint8]":
    import cv2  # heavy

    whole: NDArray[np.uint8] = frame.picture.to_ndarray(format="bgr24")
    field = cv2.resize(whole[::2], size, interpolation=cv2.INTER_AREA)
    return field.astype("uint8", copy=False)


class _PictureLine:
    """Puts pictures on one rising line of time, over restarts of the timestamps."""

    def __init__(self, time_base: Fraction, facts: MediaFacts) -> None:
        self._restart = int(RESTART_S / time_base)
        self._slack = int(SLACK_S / time_base)
        claimed = facts.duration or Fraction(0)
        self._claimed_end = int((facts.origin + claimed) / time_base)
        self._shift = 0
        self._last: int | None = None
        self._step = 1
        self.restarts = 0

    def place(self, pts: int | None) -> int | None:
        """The frame's place, in ticks; None where it cannot be told."""
        if pts is None:
            return None
        if self._last is None:
            self._last = pts
            return pts
        placed = pts + self._shift
        if placed < self._last - self._restart:
            self._shift += self._last + self._step - placed
            placed = self._last + self._step
            self.restarts += 1
        is_stray = placed > max(self._last, self._claimed_end) + self._slack
        if placed <= self._last or is_stray:
            return None
        self._step, self._last = placed - self._last, placed
        return placed


class SoundReader:
    """One pass over the sound of a file, in one channel, laid on the asset's time line."""

    def __init__(self, path: Path, *, rate: int, channel: int | None = None) -> None:
        """`channel`: 0 for left, 1 for right; all are mixed where none is named."""
        self._path = path
        self._channel = channel
        self.rate = rate
        self.decode_errors = 0

    def __iter__(self) -> Iterator["NDArray[np.int16]"]:
        """Blocks of samples: (n,) int16. Sample k of all of them sounds k / rate seconds in.

        Gaps in the timestamps are filled with silence, overlaps cut.
        """
        import av  # heavy

        with opened(self._path) as container:
            facts = facts_of(container)
            if not facts.audio:
                return
            stream = container.streams[facts.audio[0].index]
            layout = "mono" if self._channel is None else "stereo"
            resampler = av.AudioResampler(format="s16", layout=layout, rate=self.rate)
            line = _TimeLine(rate=self.rate, limit_s=_longest(facts))
            for decoded in decoded_frames(container, stream):
                if isinstance(decoded, Exception):
                    self.decode_errors += 1
                    continue
                start = _start_of(decoded, facts)
                for block in resampler.resample(decoded):
                    yield from line.place(self._samples(block), start)
                    start = None
            for block in resampler.resample(None):
                yield from line.place(self._samples(block), None)

    def _samples(self, block: Any) -> "NDArray[np.int16]":
        array: NDArray[np.int16] = block.to_ndarray().ravel()
        return array if self._channel is None else array[self._channel :: 2]


def likeness_of_channels(path: Path, *, rate: int) -> float:
    """How alike left and right are: their correlation, −1 to 1; 1 where one of them is silent."""
    import numpy as np  # heavy

    sums = np.zeros(3)
    both = (SoundReader(path, rate=rate, channel=channel) for channel in (0, 1))
    for left, right in zip(*both, strict=True):
        pair = left.astype(np.float64), right.astype(np.float64)
        sums += [pair[0] @ pair[0], pair[1] @ pair[1], pair[0] @ pair[1]]
    loudness = float(np.sqrt(sums[0] * sums[1]))
    return float(sums[2]) / loudness if loudness else 1.0


class _TimeLine:
    """Puts blocks of sound where their timestamps say."""

    def __init__(self, *, rate: int, limit_s: Fraction | None) -> None:
        self._rate = rate
        self._limit_s = limit_s
        self._placed = 0
        self._shift = Fraction(0)

    def place(
        self, samples: "NDArray[np.int16]", start: Fraction | None
    ) -> Iterator["NDArray[np.int16]"]:
        """The block, with silence before it or its head cut off where its time says so."""
        if start is not None:
            drift = start + self._shift - Fraction(self._placed, self._rate)
            if drift < -RESTART_S:
                self._shift -= drift
                drift = Fraction(0)
            if drift > MAX_DRIFT_S:
                yield from self._silence(int(drift * self._rate), start)
            elif drift < -MAX_DRIFT_S:
                samples = samples[int(-drift * self._rate) :]
        self._placed += len(samples)
        if len(samples):
            yield samples

    def _silence(self, count: int, start: Fraction) -> Iterator["NDArray[np.int16]"]:
        import numpy as np  # heavy

        if self._limit_s is not None and start > self._limit_s + self._shift:
            raise Invalid(
                "a timestamp of the sound lies far beyond the end",
                expected=f"at most {float(self._limit_s):.0f} s",
                got=f"{float(start):.0f} s",
            )
        self._placed += count
        while count:
            size = min(count, self._rate)
            yield np.zeros(size, dtype=np.int16)
            count -= size


def _start_of(decoded: Any, facts: MediaFacts) -> Fraction | None:
    if decoded.pts is None or decoded.time_base is None:
        return None
    return Fraction(decoded.pts) * Fraction(decoded.time_base) - facts.origin


def _longest(facts: MediaFacts) -> Fraction | None:
    return None if facts.duration is None else facts.duration + SLACK_S
