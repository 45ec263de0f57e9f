"""Frame sampling: reads the frames of every shot at the rate and size that a stage needs."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from filmgate.core.ports import StageContext
from filmgate.media.spans import Span
from filmgate.media.time import milliseconds
from filmgate.pipelines.episode.files import SCENES
from filmgate.pipelines.episode.records import VideoFacts
from filmgate.tools.decoding import Frame, VideoReader, fitted_size, upright

if TYPE_CHECKING:
    from filmgate.core.providers import Image


@dataclass(frozen=True, kw_only=True)
class SampledFrame:
    """A frame that was sampled, scaled and turned upright."""

    frame_number: int
    span: Span
    """From the frame's presentation time to the next sampled frame, or to the end of the shot."""
    shot: int
    """Index of the shot, from 0, ordered by time."""
    is_first: bool
    """Whether the frame is the first sampled one of its shot."""
    image: "Image"
    """(h, w, 3) uint8, blue green red, upright."""
    scale: float
    """Displayed pixels per pixel of `image`."""


def read_shots(context: StageContext, video: VideoFacts) -> list[Span]:
    """Read the shots of a video, ordered by time; without scenes, the whole video is one shot."""
    if not context.has(SCENES):
        return [Span(start_ms=video.start_offset_ms, end_ms=video.end_ms)]
    return [
        Span(start_ms=line.span_start_ms, end_ms=line.span_end_ms)
        for line in context.read_artifacts(SCENES)
    ]


def sample_frames(
    context: StageContext, video: VideoFacts, shots: list[Span], *, rate: float, longest: int
) -> Iterator[SampledFrame]:
    """Yield `rate` sampled frames per second, counted from the start of each shot.

    If the frame rate of the video is lower, every frame is sampled. `longest`: longer side of the
    sampled images, in pixels; smaller videos are not enlarged.
    """
    size = None
    for frame, span, shot, is_first in _frames_with_spans(context, video, shots, 1000 / rate):
        size = size or fitted_size(frame, longest=longest)
        image = upright(frame, size)
        yield SampledFrame(
            frame_number=frame.number,
            span=span,
            shot=shot,
            is_first=is_first,
            image=image,
            scale=video.display_width / image.shape[1],
        )


def _frames_with_spans(
    context: StageContext, video: VideoFacts, shots: list[Span], period_ms: float
) -> Iterator[tuple[Frame, Span, int, bool]]:
    """Yield (frame, span, shot index, whether it is the first of its shot) of sampled frames."""
    pending: tuple[Frame, int, int, bool] | None = None
    for frame, ms, shot, is_first in _due_frames(context, video, shots, period_ms):
        if pending is not None:
            yield _with_end(pending, ms, shots)
        pending = (frame, ms, shot, is_first)
    if pending is not None:
        yield _with_end(pending, video.end_ms, shots)


def _with_end(
    pending: tuple[Frame, int, int, bool], next_ms: int, shots: list[Span]
) -> tuple[Frame, Span, int, bool]:
    """End a frame's span at the next sampled frame or the end of the shot, whichever is first."""
    frame, ms, shot, is_first = pending
    end_ms = max(ms, min(next_ms, shots[shot].end_ms))
    return frame, Span(start_ms=ms, end_ms=end_ms), shot, is_first


def _due_frames(
    context: StageContext, video: VideoFacts, shots: list[Span], period_ms: float
) -> Iterator[tuple[Frame, int, int, bool]]:
    """Yield the first frame of every shot, then the first at or after each multiple of the period.

    Each item is (frame, presentation time in ms, shot index, whether it is the first of its shot).
    """
    shot, steps = -1, 0
    for frame in VideoReader(context.source):
        ms = milliseconds(frame.time)
        context.progress(ms / 1000, video.end_ms / 1000)
        is_first = False
        while shot + 1 < len(shots) and ms >= shots[shot + 1].start_ms:
            shot, steps, is_first = shot + 1, 0, True
        if shot < 0:
            shot, is_first = 0, True
        if is_first or ms >= shots[shot].start_ms + steps * period_ms:
            steps = int((ms - shots[shot].start_ms) // period_ms) + 1
            yield frame, ms, shot, is_first
