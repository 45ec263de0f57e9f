"""Following things through a shot: detections joined by overlap, gaps bridged by looks.

Detection is dear and misses a thing now and then; a correlation tracker is cheap and follows it
by its looks, a turned face as well. So detections are joined to tracks by overlap (Hungarian
method), every track is carried on by its follower where no detection takes it up, and back to
the start of its shot once it has proved to be more than one false alarm.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, NamedTuple

from pydantic import Field

from filmgate.core.plan import Settings
from filmgate.core.providers import BoxFollower, Landmarks
from filmgate.media.boxes import Box
from filmgate.media.spans import Span

if TYPE_CHECKING:
    from filmgate.core.providers import Image


class FollowSettings(Settings):
    """How things are followed."""

    min_iou: Annotated[float, Field(gt=0, lt=1)] = 0.3
    """Least overlap of a detection with the track that it continues."""
    min_quality: Annotated[float, Field(ge=0)] = 6.0
    """Least peak-to-sidelobe ratio at which a follower is believed. Bolme and others (2010) see
    loss below 7 or so; 6 brought every shot of a known clip within a tenth of the truth."""
    min_detections: Annotated[int, Field(ge=1)] = 2
    """A track with fewer is a false alarm."""
    max_carry_ms: Annotated[int, Field(ge=0)] = 4000
    """How long a track is carried without a detection."""
    back_ms: Annotated[int, Field(ge=0)] = 4000
    """How far back from where it was proved a new track is followed; pictures of so long are kept
    in memory."""


class Candidate(NamedTuple):
    """Something detected in a picture, in its pixels."""

    box: Box
    confidence: float
    landmarks: Landmarks = ()


@dataclass(frozen=True, kw_only=True)
class Sighting:
    """A track in one picture. Boxes are in the pixels of the picture looked at."""

    frame_number: int
    span: Span
    box: Box
    confidence: float | None
    """None where it was not detected but followed."""
    landmarks: Landmarks = ()


@dataclass
class Trail:
    """A track as it grows."""

    sightings: list[Sighting] = field(default_factory=list)
    last_detected_ms: int = 0
    detections: int = 0
    is_traced: bool = False
    """Whether it was followed back."""

    @property
    def life(self) -> Span:
        """From its first sighting to its last."""
        return Span(start_ms=self.sightings[0].span.start_ms, end_ms=self.sightings[-1].span.end_ms)

    @property
    def confidence(self) -> float:
        """Mean over its detections."""
        sure = [each.confidence for each in self.sightings if each.confidence is not None]
        return round(sum(sure) / len(sure), 4)

    @property
    def last(self) -> Sighting:
        """Where it was seen last."""
        return self.sightings[-1]


class Live(NamedTuple):
    """A track that is not lost yet. Its follower goes when it is: one holds megabytes."""

    trail: Trail
    follower: BoxFollower


class Glance(NamedTuple):
    """One picture, as tracking sees it."""

    frame_number: int
    span: Span
    grey: "Image"


@dataclass
class Tracker:
    """Follows everything through one shot; `end` gives the tracks and makes ready for the next."""

    settings: FollowSettings
    new_follower: Callable[[], BoxFollower]
    _live: list[Live] = field(default_factory=list)
    _ended: list[Trail] = field(default_factory=list)
    _recent: "deque[Glance]" = field(default_factory=deque)
    _searches: int = 0
    """How often the shot was searched so far."""

    def see(self, glance: Glance, found: Sequence[Candidate] | None) -> None:
        """The next picture of the shot; `found` is None where nothing was searched for."""
        self._searches += found is not None
        places = [live.follower.follow(glance.grey) for live in self._live]
        taken = self._join(glance, [place for place, _ in places], found or ())
        for live, (box, quality) in zip(list(self._live), places, strict=True):
            if live.trail.last.frame_number == glance.frame_number:
                continue
            if self._may_carry(live.trail, glance, box, quality):
                live.trail.sightings.append(_sighting(glance, box, None))
            else:
                self._live.remove(live)
                self._ended.append(live.trail)
        for index, candidate in enumerate(found or ()):
            if index not in taken:
                live = Live(Trail(), self.new_follower())
                _take_up(live, glance, candidate)
                self._live.append(live)
        self._recent.append(glance)
        while glance.span.start_ms - self._recent[0].span.start_ms > self.settings.back_ms:
            self._recent.popleft()
        for live in self._live:
            if live.trail.detections >= self.settings.min_detections and not live.trail.is_traced:
                self._trace_back(live.trail)

    def end(self) -> tuple[list[Trail], list[Sighting]]:
        """The tracks of the shot in order of their lives, and the detections that made none."""
        seen = [*self._ended, *(live.trail for live in self._live)]
        trails = [trail for trail in seen if self._is_proved(trail)]
        strays = [
            sighting
            for trail in seen
            if not self._is_proved(trail)
            for sighting in trail.sightings
            if sighting.confidence is not None
        ]
        self._live, self._ended, self._recent, self._searches = [], [], deque(), 0
        return (
            sorted(trails, key=lambda trail: (trail.life, trail.sightings[0].box)),
            sorted(strays, key=lambda sighting: (sighting.span, sighting.box)),
        )

    def _join(self, glance: Glance, places: list[Box], found: Sequence[Candidate]) -> set[int]:
        """Give detections to the tracks that they continue; which ones were given."""
        boxes = [candidate.box for candidate in found]
        pairs = matched(places, boxes, self.settings.min_iou)
        for track, candidate in pairs:
            _take_up(self._live[track], glance, found[candidate])
        return {candidate for _, candidate in pairs}

    def _may_carry(self, trail: Trail, glance: Glance, box: Box, quality: float) -> bool:
        settings = self.settings
        is_fresh = glance.span.start_ms - trail.last_detected_ms <= settings.max_carry_ms
        is_alone = all(
            other.trail is trail
            or other.trail.last.frame_number != glance.frame_number
            or other.trail.last.box.iou(box) < settings.min_iou
            for other in self._live
        )
        return quality >= settings.min_quality and _is_inside(box, glance) and is_fresh and is_alone

    def _is_proved(self, trail: Trail) -> bool:
        """Whether it was detected often enough to be no false alarm; in a shot that was searched
        less often, every time."""
        return trail.detections >= min(self.settings.min_detections, self._searches)

    def _trace_back(self, trail: Trail) -> None:
        """Follow a track from its first sighting back towards the start of the shot."""
        trail.is_traced = True
        first = trail.sightings[0]
        before = [g for g in self._recent if g.span.start_ms < first.span.start_ms]
        start = next((g for g in self._recent if g.frame_number == first.frame_number), None)
        if start is None or not before:
            return
        follower = self.new_follower()
        follower.start(start.grey, first.box)
        for glance in reversed(before):
            box, quality = follower.follow(glance.grey)
            is_sure = quality >= self.settings.min_quality and _is_inside(box, glance)
            if not is_sure or self._is_taken(glance, box):
                return
            trail.sightings.insert(0, _sighting(glance, box, None))

    def _is_taken(self, glance: Glance, box: Box) -> bool:
        """Whether another track was there at that moment."""
        others = [*(live.trail for live in self._live), *self._ended]
        return any(
            each.frame_number == glance.frame_number and each.box.iou(box) >= self.settings.min_iou
            for trail in others
            if trail.life.end_ms > glance.span.start_ms
            for each in reversed(trail.sightings)
        )


def _take_up(live: Live, glance: Glance, candidate: Candidate) -> None:
    """Go on from a detection."""
    live.follower.start(glance.grey, candidate.box)
    live.trail.sightings.append(
        _sighting(glance, candidate.box, candidate.confidence, candidate.landmarks)
    )
    live.trail.last_detected_ms = glance.span.start_ms
    live.trail.detections += 1


def _is_inside(box: Box, glance: Glance) -> bool:
    """Whether most of it is in the picture."""
    height, width = glance.grey.shape[:2]
    return box.inside(width, height).area > box.area / 2


SWITCH_MS = 1000


def likely_switches(trails: Sequence[Trail], min_iou: float) -> int:
    """How many tracks of a shot begin within a second, and on the place, of one just lost."""
    return sum(
        any(
            0 <= later.life.start_ms - earlier.life.end_ms <= SWITCH_MS
            and earlier.last.box.iou(later.sightings[0].box) >= min_iou
            for earlier in trails
        )
        for later in trails
    )


def matched(places: Sequence[Box], boxes: Sequence[Box], min_iou: float) -> list[tuple[int, int]]:
    """Pairs (place, box) that overlap by `min_iou` and more, at most one of each, such that the
    overlap of all together is greatest (Hungarian method)."""
    import numpy as np
    from scipy.optimize import linear_sum_assignment  # slow to import

    if not places or not boxes:
        return []
    overlap = np.array([[place.iou(box) for box in boxes] for place in places])
    overlap[overlap < min_iou] = 0.0
    rows, columns = linear_sum_assignment(overlap, maximize=True)
    return [
        (int(row), int(column))
        for row, column in zip(rows, columns, strict=True)
        if overlap[row, column] > 0
    ]


def _sighting(
    glance: Glance, box: Box, confidence: float | None, landmarks: Landmarks = ()
) -> Sighting:
    return Sighting(
        frame_number=glance.frame_number,
        span=glance.span,
        box=box,
        confidence=confidence,
        landmarks=landmarks,
    )
