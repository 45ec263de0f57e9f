"""Detect: detects the faces of every shot and tracks them, even while they turn away."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from filmgate.core.errors import Unavailable
from filmgate.core.payloads.tracks import TrackV1
from filmgate.core.plan import Done, Outcome, Producer, SkipCause, Skipped, stage
from filmgate.core.ports import StageContext, Timed
from filmgate.core.providers import FaceDetector
from filmgate.pipelines.episode.files import DETECTIONS, PROBE, TRACK_METRICS, TRACKS
from filmgate.pipelines.episode.providers import BUILT_IN, Loaders, load_first_available
from filmgate.pipelines.episode.records import Detection, Probe, TrackMetrics
from filmgate.pipelines.episode.rules.tracking import (
    Candidate,
    OpenTrack,
    TrackPoint,
    count_likely_switches,
)
from filmgate.pipelines.episode.stages.probe import probe
from filmgate.pipelines.episode.stages.scenes import scenes
from filmgate.pipelines.episode.tracking import SampledTrackingSettings, ShotTracks, track_shots
from filmgate.tools.face_models import DlibFaceDetector
from filmgate.tools.opencv_zoo import YuNet

SHORT_MS = 1000
"""Duration in milliseconds below which a track counts as short."""
MIN_TRACKS = 30
"""Minimum number of tracks for which shares of them are meaningful."""

MAX_SHORT_SHARE, MAX_SWITCH_RATE, MAX_TRACKS_PER_MINUTE = 0.2, 0.05, 30
"""Values above which tracking looks wrong. Users of an older system chose them for an hour of
television."""


LOADERS: Loaders[FaceDetector] = {"yunet": YuNet}


class DetectSettings(SampledTrackingSettings):
    """How faces are detected and tracked."""

    models: tuple[Literal["yunet", "built-in"], ...] = ("yunet", BUILT_IN)
    """Face detectors in order of preference; the first available one is used."""
    min_score: Annotated[float, Field(ge=-1, le=10)] = 0.0
    """Minimum score of a face, for the built-in detector."""


@stage(
    requires=[probe.name],
    uses=[scenes.name],
    makes=[DETECTIONS, TRACKS, TRACK_METRICS],
    settings=DetectSettings,
    aliases=["detect_track", "detect/track"],
    tools=["av", "dlib-bin", "face_recognition_models", "numpy", "opencv-python-headless", "scipy"],
    reads_resources=LOADERS,
)
def detect(context: StageContext, settings: DetectSettings) -> Outcome:
    """Detect faces a few times a second, and track each through its shot."""
    facts = context.read_document(PROBE, Probe)
    if facts.video is None:
        return Skipped("no video track", cause=SkipCause.NO_INPUT)
    try:
        detector = load_first_available(
            context,
            settings.models,
            LOADERS,
            lambda: DlibFaceDetector(min_score=settings.min_score),
        )
    except Unavailable as error:
        return Skipped(str(error), cause=SkipCause.NO_PROVIDER)
    faces = _FaceTracks(settings.min_iou)
    shots = track_shots(
        context,
        facts.video,
        settings,
        lambda image: [Candidate(*face) for face in detector.detect(image)],
    )
    context.write_records(DETECTIONS, (found for shot in shots for found in faces.add_shot(shot)))
    context.write_artifacts(TRACKS, sorted(faces.tracks, key=lambda track: track.sort_key))
    metrics = faces.metrics(detector.producer, facts.video.end_ms)
    context.write_document(TRACK_METRICS, metrics)
    _warn(context, metrics)
    if metrics.tracks and isinstance(detector, DlibFaceDetector):
        context.warn(
            "built_in_faces",
            "faces were detected by the built-in detector, which finds frontal ones of at least "
            f"70 of {settings.longest} pixels; `filmgate models list` shows a better model",
        )
    return Done(
        producer=detector.producer,
        counts={"false alarms": metrics.false_alarms},
        metrics=metrics.model_dump(mode="json", exclude={"producer"}),
    )


@dataclass
class _FaceTracks:
    """The face tracks of all shots so far, with counts for the metrics."""

    min_iou: float
    tracks: list[Timed] = field(default_factory=list)
    stray_detections: int = 0
    lost: int = 0
    switches: int = 0

    def add_shot(self, shot: ShotTracks) -> Iterator[Detection]:
        """Add the tracks of a shot; yield its detections, ordered by time."""
        self.stray_detections += len(shot.stray_detections)
        self.switches += count_likely_switches(shot.tracks, self.min_iou)
        found: list[tuple[TrackPoint, str | None]] = [
            (point, None) for point in shot.stray_detections
        ]
        for track in shot.tracks:
            name = f"f{len(self.tracks) + 1:05d}"
            self.lost += track.span.end_ms < shot.shot.end_ms
            self.tracks.append(Timed(track.span.start_ms, track.span.end_ms, _track(track, name)))
            found += [(point, name) for point in track.points]
        found.sort(key=lambda item: (item[0].span, item[0].box))
        yield from (_detection(shot, point, name) for point, name in found)

    def metrics(self, producer: Producer, duration_ms: int) -> TrackMetrics:
        """Compute the measures of tracking quality."""
        durations_ms = sorted((t.end_ms - t.start_ms for t in self.tracks), reverse=True)
        count = len(durations_ms)
        short = sum(ms < SHORT_MS for ms in durations_ms)
        return TrackMetrics(
            producer=producer,
            tracks=count,
            lost=self.lost,
            likely_switches=self.switches,
            switch_rate=round(self.switches / count, 4) if count else None,
            tracks_per_minute=round(count * 60_000 / duration_ms, 2) if duration_ms else None,
            short_share=round(short / count, 4) if count else None,
            longest_ms=tuple(durations_ms[:5]),
            false_alarms=self.stray_detections,
        )


def _track(track: OpenTrack, name: str) -> TrackV1:
    return TrackV1(
        track_id=name,
        subject="face",
        cluster_id=None,
        first_frame=track.points[0].frame_number,
        last_frame=track.last_point.frame_number,
        detections=track.detections,
        confidence=track.confidence,
    )


def _detection(shot: ShotTracks, point: TrackPoint, track_id: str | None) -> Detection:
    return Detection(
        track_id=track_id,
        frame_number=point.frame_number,
        span_start_ms=point.span.start_ms,
        span_end_ms=point.span.end_ms,
        bounding_box=shot.displayed_box(point),
        confidence=point.confidence,
        landmarks=tuple(
            (round(x * shot.scale, 1), round(y * shot.scale, 1)) for x, y in point.landmarks
        ),
    )


def _warn(context: StageContext, metrics: TrackMetrics) -> None:
    """Warn about tracking results that look wrong."""
    has_enough_tracks = metrics.tracks >= MIN_TRACKS
    if has_enough_tracks and (metrics.short_share or 0) > MAX_SHORT_SHARE:
        context.warn(
            "short_tracks",
            f"{metrics.short_share:.0%} of the face tracks last under a second: "
            "raise detect.rate, or lower detect.min_iou",
        )
    if has_enough_tracks and (metrics.switch_rate or 0) > MAX_SWITCH_RATE:
        context.warn(
            "broken_tracks",
            f"{metrics.switch_rate:.0%} of the face tracks begin where another was just lost: "
            "raise detect.rate",
        )
    if has_enough_tracks and (metrics.tracks_per_minute or 0) > MAX_TRACKS_PER_MINUTE:
        context.warn(
            "many_tracks",
            f"{metrics.tracks_per_minute:.0f} face tracks a minute are too many: there are crowds, "
            "fast cuts, or false alarms (raise detect.min_detections)",
        )
