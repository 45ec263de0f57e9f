"""Looking at a film: pictures at a stage's own rate and size, shot by shot, in exact time."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from filmgate.core.ports import Bench
from filmgate.media.spans import Span
from filmgate.media.time import milliseconds
from filmgate.pipelines.episode.files import SCENES
from filmgate.pipelines.episode.records import VideoFacts
from filmgate.tools.decoding import Frame, VideoReader, fitted_size, upright

if TYPE_CHECKING:
    from filmgate.core.providers import Image


@dataclass(frozen=True, kw_only=True)
class Look:
    """A picture that was looked at."""

    frame_number: int
    span: Span
    """From when it is shown until the next look, or the end of its shot."""
    shot: int
    """0-based, in order of time."""
    is_first: bool
    """Whether it is the first of its shot."""
    image: "Image"
    """(h, w, 3) uint8, blue green red, upright."""
    scale: float
    """Pixels of the displayed frame for each of the image."""


def shots_of(bench: Bench, video: VideoFacts) -> list[Span]:
    """The shots of a film, in order; the whole film is one where nothing parted it."""
    if not bench.has(SCENES):
        return [Span(start_ms=video.start_offset_ms, end_ms=video.end_ms)]
    return [
        Span(start_ms=line.span_start_ms, end_ms=line.span_end_ms)
        for line in bench.read_artifacts(SCENES)
    ]


def look(
    bench: Bench, video: VideoFacts, shots: list[Span], *, rate: float, longest: int
) -> Iterator[Look]:
    """Pictures `rate` times a second, counted anew from the start of every shot.

    A film with fewer frames is looked at frame by frame. `longest`: pixels of the longer side at
    which pictures are looked at; smaller films are not blown up.
    """
    size = None
    for frame, span, shot, is_first in _looks(bench, video, shots, 1000 / rate):
        size = size or fitted_size(frame, longest=longest)
        image = upright(frame, size)
        yield Look(
            frame_number=frame.number,
            span=span,
            shot=shot,
            is_first=is_first,
            image=image,
            scale=video.display_width / image.shape[1],
        )


def _looks(
    bench: Bench, video: VideoFacts, shots: list[Span], every_ms: float
) -> Iterator[tuple[Frame, Span, int, bool]]:
    """(frame, until when it stands, its shot, whether it opens it) of every frame looked at."""
    held: tuple[Frame, int, int, bool] | None = None
    for frame, ms, shot, is_first in _due(bench, video, shots, every_ms):
        if held is not None:
            yield _closed(held, ms, shots)
        held = (frame, ms, shot, is_first)
    if held is not None:
        yield _closed(held, video.end_ms, shots)


def _closed(
    held: tuple[Frame, int, int, bool], next_ms: int, shots: list[Span]
) -> tuple[Frame, Span, int, bool]:
    frame, ms, shot, is_first = held
    end_ms = max(ms, min(next_ms, shots[shot].end_ms))
    return frame, Span(start_ms=ms, end_ms=end_ms), shot, is_first


def _due(
    bench: Bench, video: VideoFacts, shots: list[Span], every_ms: float
) -> Iterator[tuple[Frame, int, int, bool]]:
    """The first frame of every shot, and then the first at or after each multiple of the step."""
    shot, steps = -1, 0
    for frame in VideoReader(bench.source):
        ms = milliseconds(frame.time)
        bench.progress(ms / 1000, video.end_ms / 1000)
        is_first = False
        while shot + 1 < len(shots) and ms >= shots[shot + 1].start_ms:
            shot, steps, is_first = shot + 1, 0, True
        if shot < 0:
            shot, is_first = 0, True
        if is_first or ms >= shots[shot].start_ms + steps * every_ms:
            steps = int((ms - shots[shot].start_ms) // every_ms) + 1
            yield frame, ms, shot, is_first
