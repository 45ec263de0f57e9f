"""Tracking through a shot: detections are linked by overlap, gaps are bridged by appearance.

Detection is expensive and sometimes misses an object. A correlation tracker (the follower) is
cheap and follows an object by its appearance, even a face that turns away. Detections are
assigned to tracks by overlap (Hungarian method). A track without a detection is continued by its
follower. A track that is confirmed by enough detections is also followed back to the start of its
shot.
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


class TrackingSettings(Settings):
    """Thresholds of tracking."""

    min_iou: Annotated[float, Field(gt=0, lt=1)] = 0.3
    """Minimum overlap (intersection over union) of a detection with the track that it continues."""
    min_quality: Annotated[float, Field(ge=0)] = 6.0
    """Minimum peak-to-sidelobe ratio at which a follower's result is accepted. Bolme and others
    (2010) report that objects are lost below about 7. With 6, the time on screen in every shot of
    a clip with known truth was within 10 %."""
    min_detections: Annotated[int, Field(ge=1)] = 2
    """Minimum number of detections of a track; if there are fewer, they are false alarms."""
    max_carry_ms: Annotated[int, Field(ge=0)] = 4000
    """Maximum time for which a track continues without a detection."""
    back_ms: Annotated[int, Field(ge=0)] = 4000
    """Maximum time by which a new track is followed back; frames of that time stay in memory."""


class Candidate(NamedTuple):
    """A detection in a sampled image, in pixels of that image."""

    box: Box
    confidence: float
    landmarks: Landmarks = ()


@dataclass(frozen=True, kw_only=True)
class TrackPoint:
    """A track in one sampled frame. The box is in pixels of the sampled image."""

    frame_number: int
    span: Span
    box: Box
    confidence: float | None
    """Confidence of the detection; None if the object was followed, not detected."""
    landmarks: Landmarks = ()


@dataclass
class OpenTrack:
    """A track that is being built."""

    points: list[TrackPoint] = field(default_factory=list)
    last_detected_ms: int = 0
    detections: int = 0
    is_traced_back: bool = False
    """Whether the track was already followed back towards the start of the shot."""

    @property
    def span(self) -> Span:
        """From the start of its first point to the end of its last."""
        return Span(start_ms=self.points[0].span.start_ms, end_ms=self.points[-1].span.end_ms)

    @property
    def confidence(self) -> float:
        """Mean confidence of its detections."""
        detected = [point.confidence for point in self.points if point.confidence is not None]
        return round(sum(detected) / len(detected), 4)

    @property
    def last_point(self) -> TrackPoint:
        """Its most recent point."""
        return self.points[-1]


class LiveTrack(NamedTuple):
    """A track that is not lost yet, with its follower.

    The follower is released when the track is lost, as each uses megabytes of memory.
    """

    track: OpenTrack
    follower: BoxFollower


class GreyFrame(NamedTuple):
    """A sampled frame as a grey picture, for tracking."""

    frame_number: int
    span: Span
    grey: "Image"


@dataclass
class Tracker:
    """Tracks all objects through one shot; `finish_shot` returns the tracks and resets it."""

    settings: TrackingSettings
    new_follower: Callable[[], BoxFollower]
    _live: list[LiveTrack] = field(default_factory=list)
    _ended: list[OpenTrack] = field(default_factory=list)
    _recent: "deque[GreyFrame]" = field(default_factory=deque)
    _searches: int = 0
    """Number of frames of this shot in which the detector has run."""

    def add_frame(self, frame: GreyFrame, found: Sequence[Candidate] | None) -> None:
        """Add the next frame of the shot; `found` is None if the detector did not run."""
        self._searches += found is not None
        positions = [live.follower.follow(frame.grey) for live in self._live]
        assigned = self._assign_detections(frame, [box for box, _ in positions], found or ())
        for live, (box, quality) in zip(list(self._live), positions, strict=True):
            if live.track.last_point.frame_number == frame.frame_number:
                continue
            if self._can_continue(live.track, frame, box, quality):
                live.track.points.append(_track_point(frame, box, None))
            else:
                self._live.remove(live)
                self._ended.append(live.track)
        for index, candidate in enumerate(found or ()):
            if index not in assigned:
                live = LiveTrack(OpenTrack(), self.new_follower())
                _extend_with_detection(live, frame, candidate)
                self._live.append(live)
        self._recent.append(frame)
        while frame.span.start_ms - self._recent[0].span.start_ms > self.settings.back_ms:
            self._recent.popleft()
        for live in self._live:
            track = live.track
            if track.detections >= self.settings.min_detections and not track.is_traced_back:
                self._trace_back(track)

    def finish_shot(self) -> tuple[list[OpenTrack], list[TrackPoint]]:
        """Return the tracks of the shot, ordered by span, and the detections without a track."""
        all_tracks = [*self._ended, *(live.track for live in self._live)]
        tracks = [track for track in all_tracks if self._is_confirmed(track)]
        stray_detections = [
            point
            for track in all_tracks
            if not self._is_confirmed(track)
            for point in track.points
            if point.confidence is not None
        ]
        self._live, self._ended, self._recent, self._searches = [], [], deque(), 0
        return (
            sorted(tracks, key=lambda track: (track.span, track.points[0].box)),
            sorted(stray_detections, key=lambda point: (point.span, point.box)),
        )

    def _assign_detections(
        self, frame: GreyFrame, positions: list[Box], found: Sequence[Candidate]
    ) -> set[int]:
        """Assign detections to the tracks they continue; return the indices of those assigned."""
        boxes = [candidate.box for candidate in found]
        pairs = match_boxes(positions, boxes, self.settings.min_iou)
        for track_index, candidate_index in pairs:
            _extend_with_detection(self._live[track_index], frame, found[candidate_index])
        return {candidate_index for _, candidate_index in pairs}

    def _can_continue(self, track: OpenTrack, frame: GreyFrame, box: Box, quality: float) -> bool:
        """Whether a track without a detection may continue at the box of its follower."""
        settings = self.settings
        is_fresh = frame.span.start_ms - track.last_detected_ms <= settings.max_carry_ms
        is_alone = all(
            other.track is track
            or other.track.last_point.frame_number != frame.frame_number
            or other.track.last_point.box.iou(box) < settings.min_iou
            for other in self._live
        )
        return (
            quality >= settings.min_quality
            and _is_mostly_inside(box, frame)
            and is_fresh
            and is_alone
        )

    def _is_confirmed(self, track: OpenTrack) -> bool:
        """Whether the track has enough detections not to be a false alarm.

        If the detector ran in fewer frames of the shot than `min_detections`, the track must be
        detected in each of these frames.
        """
        return track.detections >= min(self.settings.min_detections, self._searches)

    def _trace_back(self, track: OpenTrack) -> None:
        """Follow a track from its first point back towards the start of the shot."""
        track.is_traced_back = True
        first = track.points[0]
        before = [frame for frame in self._recent if frame.span.start_ms < first.span.start_ms]
        start = next((f for f in self._recent if f.frame_number == first.frame_number), None)
        if start is None or not before:
            return
        follower = self.new_follower()
        follower.start(start.grey, first.box)
        for frame in reversed(before):
            box, quality = follower.follow(frame.grey)
            is_sure = quality >= self.settings.min_quality and _is_mostly_inside(box, frame)
            if not is_sure or self._is_occupied(frame, box):
                return
            track.points.insert(0, _track_point(frame, box, None))

    def _is_occupied(self, frame: GreyFrame, box: Box) -> bool:
        """Whether another track is at that position in that frame."""
        others = [*(live.track for live in self._live), *self._ended]
        return any(
            point.frame_number == frame.frame_number and point.box.iou(box) >= self.settings.min_iou
            for track in others
            if track.span.end_ms > frame.span.start_ms
            for point in reversed(track.points)
        )


def _extend_with_detection(live: LiveTrack, frame: GreyFrame, candidate: Candidate) -> None:
    """Extend a track with a detection and restart its follower there."""
    live.follower.start(frame.grey, candidate.box)
    live.track.points.append(
        _track_point(frame, candidate.box, candidate.confidence, candidate.landmarks)
    )
    live.track.last_detected_ms = frame.span.start_ms
    live.track.detections += 1


def _is_mostly_inside(box: Box, frame: GreyFrame) -> bool:
    """Whether more than half of the box is inside the picture."""
    height, width = frame.grey.shape[:2]
    return box.clipped(width, height).area > box.area / 2


SWITCH_MS = 1000
"""Maximum time between the end of a track and the start of a likely continuation."""


def count_likely_switches(tracks: Sequence[OpenTrack], min_iou: float) -> int:
    """Count the tracks that begin at the position of another, within `SWITCH_MS` after its end."""
    return sum(
        any(
            0 <= later.span.start_ms - earlier.span.end_ms <= SWITCH_MS
            and earlier.last_point.box.iou(later.points[0].box) >= min_iou
            for earlier in tracks
        )
        for later in tracks
    )


def match_boxes(
    positions: Sequence[Box], boxes: Sequence[Box], min_iou: float
) -> list[tuple[int, int]]:
    """Match positions with boxes one to one so that their total overlap is greatest.

    Uses the Hungarian method; returns the pairs of indices that overlap by `min_iou` or more.
    """
    import numpy as np
    from scipy.optimize import linear_sum_assignment  # slow to import

    if not positions or not boxes:
        return []
    overlap = np.array([[position.iou(box) for box in boxes] for position in positions])
    overlap[overlap < min_iou] = 0.0
    rows, columns = linear_sum_assignment(overlap, maximize=True)
    return [
        (int(row), int(column))
        for row, column in zip(rows, columns, strict=True)
        if overlap[row, column] > 0
    ]


def _track_point(
    frame: GreyFrame, box: Box, confidence: float | None, landmarks: Landmarks = ()
) -> TrackPoint:
    return TrackPoint(
        frame_number=frame.frame_number,
        span=frame.span,
        box=box,
        confidence=confidence,
        landmarks=landmarks,
    )
