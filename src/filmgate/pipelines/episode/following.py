"""Following what is in the picture through every shot of a film: faces, and bodies."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from filmgate.core.payloads.geometry import BoundingBox
from filmgate.core.ports import Bench
from filmgate.media.boxes import Box
from filmgate.media.spans import Span
from filmgate.pipelines.episode.looking import Look, look, shots_of
from filmgate.pipelines.episode.records import VideoFacts
from filmgate.pipelines.episode.rules.tracking import (
    Candidate,
    FollowSettings,
    Glance,
    Sighting,
    Tracker,
    Trail,
)
from filmgate.tools.face_models import DlibFollower

if TYPE_CHECKING:
    from filmgate.core.providers import Image


LONGEST_PIECE_MS = 300_000
"""Longer shots are followed in pieces, so that what is held of one in memory stays bounded."""

FARTHEST = 400_000.0
"""Pixels from the picture's corner: far beyond any picture."""

ALWAYS_SEARCHED = 2
"""Looks at the start of a shot that are always searched: short shots have few others."""


def piece_of(ms: int, shot: Span) -> int:
    """In which piece of its shot a moment lies."""
    return (ms - shot.start_ms) // LONGEST_PIECE_MS


class LookSettings(FollowSettings):
    """How often and how closely a film is looked at."""

    rate: Annotated[float, Field(gt=0, le=120)] = 6.0
    """Looks a second."""
    search_every: Annotated[int, Field(ge=1)] = 2
    """At every how many looks the detector searches; in between things are only followed."""
    longest: Annotated[int, Field(ge=64, le=8192)] = 960
    """Pixels of the longer side at which pictures are looked at."""


@dataclass(frozen=True, kw_only=True)
class ShotTracks:
    """What was followed through one shot."""

    shot: Span
    trails: Sequence[Trail]
    strays: Sequence[Sighting]
    """Detections that made no track."""
    scale: float
    """Displayed pixels for each of the pictures that the boxes are in."""

    def box(self, sighting: Sighting) -> BoundingBox:
        """Where it was, in displayed pixels."""
        return bounding_box(sighting.box.scaled(self.scale))


def followed(
    bench: Bench,
    video: VideoFacts,
    settings: LookSettings,
    find: "Callable[[Image], list[Candidate]]",
) -> Iterator[ShotTracks]:
    """Every shot, with the tracks in it."""
    shots = shots_of(bench, video)
    looks = look(bench, video, shots, rate=settings.rate, longest=settings.longest)

    def piece(each: Look) -> tuple[int, int]:
        return each.shot, piece_of(each.span.start_ms, shots[each.shot])

    for (number, _), shot in groupby(looks, key=piece):
        tracker = Tracker(settings, DlibFollower)
        scale = 1.0
        for index, each in enumerate(shot):
            scale = each.scale
            is_searched = index < ALWAYS_SEARCHED or index % settings.search_every == 0
            found = find(each.image) if is_searched else None
            tracker.see(Glance(each.frame_number, each.span, _grey(each.image)), found)
        trails, strays = tracker.end()
        yield ShotTracks(shot=shots[number], trails=trails, strays=strays, scale=scale)


def bounding_box(box: Box) -> BoundingBox:
    """As it is written down: to a tenth of a pixel, and within what a contract holds, whatever
    a model says."""
    left, top = _bounded(box.x), _bounded(box.y)
    right, bottom = _bounded(box.x + box.width), _bounded(box.y + box.height)
    width, height = max(0.0, right - left), max(0.0, bottom - top)
    x, y, width, height = Box(left, top, width, height).rounded()
    return BoundingBox(x=x, y=y, width=width, height=height)


def _bounded(pixels: float) -> float:
    return min(max(pixels, -FARTHEST), FARTHEST)


def box_of(box: BoundingBox) -> Box:
    """As it is computed with."""
    return Box(box.x, box.y, box.width, box.height)


def _grey(image: "Image") -> "Image":
    import cv2  # heavy

    grey: Any = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    return grey  # type: ignore[no-any-return]
