"""Tracking of faces and bodies through every shot of a video."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from filmgate.core.payloads.geometry import BoundingBox
from filmgate.core.ports import StageContext
from filmgate.media.boxes import Box
from filmgate.media.spans import Span
from filmgate.pipelines.episode.frame_sampling import SampledFrame, read_shots, sample_frames
from filmgate.pipelines.episode.records import VideoFacts
from filmgate.pipelines.episode.rules.tracking import (
    Candidate,
    GreyFrame,
    OpenTrack,
    Tracker,
    TrackingSettings,
    TrackPoint,
)
from filmgate.tools.face_models import DlibFollower

if TYPE_CHECKING:
    from filmgate.core.providers import Image


MAX_PART_MS = 300_000
"""Maximum duration that is tracked at once. Longer shots are tracked in parts, to limit memory."""

MAX_COORDINATE = 400_000.0
"""Maximum absolute coordinate of a stored box, in pixels; far beyond any picture."""

ALWAYS_SEARCHED_FRAMES = 2
"""Number of sampled frames at the start of a shot in which the detector always runs, because a
short shot may have no others."""


def part_index(ms: int, shot: Span) -> int:
    """Index of the part of its shot that contains the time `ms`."""
    return (ms - shot.start_ms) // MAX_PART_MS


class SampledTrackingSettings(TrackingSettings):
    """How often frames are sampled and searched, and at which size."""

    rate: Annotated[float, Field(gt=0, le=120)] = 6.0
    """Sampled frames per second."""
    search_every: Annotated[int, Field(ge=1)] = 2
    """The detector runs in every n-th sampled frame; in the others, tracks are only followed."""
    longest: Annotated[int, Field(ge=64, le=8192)] = 960
    """Longer side of the sampled images, in pixels."""


@dataclass(frozen=True, kw_only=True)
class ShotTracks:
    """The tracks of one shot, or of one part of a long shot."""

    shot: Span
    tracks: Sequence[OpenTrack]
    stray_detections: Sequence[TrackPoint]
    """Detections that belong to no track."""
    scale: float
    """Displayed pixels per pixel of the sampled images, which the boxes refer to."""

    def displayed_box(self, point: TrackPoint) -> BoundingBox:
        """The box of a track point, in displayed pixels."""
        return to_bounding_box(point.box.scaled(self.scale))


def track_shots(
    context: StageContext,
    video: VideoFacts,
    settings: SampledTrackingSettings,
    detect: "Callable[[Image], list[Candidate]]",
) -> Iterator[ShotTracks]:
    """Track what `detect` finds; yield the tracks of every shot, ordered by time."""
    shots = read_shots(context, video)
    frames = sample_frames(context, video, shots, rate=settings.rate, longest=settings.longest)

    def shot_and_part(frame: SampledFrame) -> tuple[int, int]:
        return frame.shot, part_index(frame.span.start_ms, shots[frame.shot])

    for (number, _), part in groupby(frames, key=shot_and_part):
        tracker = Tracker(settings, DlibFollower)
        scale = 1.0
        for index, frame in enumerate(part):
            scale = frame.scale
            is_searched = index < ALWAYS_SEARCHED_FRAMES or index % settings.search_every == 0
            found = detect(frame.image) if is_searched else None
            grey = GreyFrame(frame.frame_number, frame.span, _to_grey(frame.image))
            tracker.add_frame(grey, found)
        tracks, stray_detections = tracker.finish_shot()
        yield ShotTracks(
            shot=shots[number], tracks=tracks, stray_detections=stray_detections, scale=scale
        )


def to_bounding_box(box: Box) -> BoundingBox:
    """Convert a box to its stored form.

    Coordinates are rounded to 0.1 pixel, and clamped to the range that the contract allows.
    """
    left, top = _clamp(box.x), _clamp(box.y)
    right, bottom = _clamp(box.x + box.width), _clamp(box.y + box.height)
    width, height = max(0.0, right - left), max(0.0, bottom - top)
    x, y, width, height = Box(left, top, width, height).rounded()
    return BoundingBox(x=x, y=y, width=width, height=height)


def _clamp(pixels: float) -> float:
    return min(max(pixels, -MAX_COORDINATE), MAX_COORDINATE)


def to_box(box: BoundingBox) -> Box:
    """Convert a stored box to the form used in computations."""
    return Box(box.x, box.y, box.width, box.height)


def _to_grey(image: "Image") -> "Image":
    import cv2  # slow to import
    import numpy as np

    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)
