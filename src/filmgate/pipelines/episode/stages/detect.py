"""Detect: the faces of every shot, followed while they turn away and come back."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from filmgate.core.errors import Unavailable
from filmgate.core.payloads.tracks import TrackV1
from filmgate.core.plan import Done, Outcome, Producer, Skipped, stage
from filmgate.core.ports import Bench, Timed
from filmgate.core.providers import FaceDetector
from filmgate.pipelines.episode.files import DETECTIONS, PROBE, TRACK_METRICS, TRACKS
from filmgate.pipelines.episode.following import LookSettings, ShotTracks, followed
from filmgate.pipelines.episode.providers import BUILT_IN, Loaders, first_there
from filmgate.pipelines.episode.records import Detection, Probe, TrackMetrics
from filmgate.pipelines.episode.rules.tracking import (
    Candidate,
    Sighting,
    Trail,
    likely_switches,
)
from filmgate.pipelines.episode.stages.probe import probe
from filmgate.pipelines.episode.stages.scenes import scenes
from filmgate.tools.face_models import DlibFaceDetector
from filmgate.tools.opencv_zoo import YuNet

SHORT_MS = 1000
ENOUGH = 30
"""Tracks from which shares of them say something."""

MANY_SHORT, MANY_SWITCHES, MANY_A_MINUTE = 0.2, 0.05, 30
"""Beyond these, tracking looks wrong; figures that users of an older system settled on for an
hour of television."""


LOADERS: Loaders[FaceDetector] = {"yunet": YuNet}


class DetectSettings(LookSettings):
    """How faces are looked for."""

    models: tuple[Literal["yunet", "built-in"], ...] = ("yunet", BUILT_IN)
    """The first that is there finds the faces."""
    min_score: Annotated[float, Field(ge=-1, le=10)] = 0.0
    """Of the built-in detector: the least score of a face."""


@stage(
    requires=[probe.name],
    uses=[scenes.name],
    makes=[DETECTIONS, TRACKS, TRACK_METRICS],
    settings=DetectSettings,
    aliases=["detect_track", "detect/track"],
    tools=["av", "dlib-bin", "face_recognition_models", "numpy", "opencv-python-headless", "scipy"],
    consults=LOADERS,
)
def detect(bench: Bench, settings: DetectSettings) -> Outcome:
    """Find faces a few times a second, and follow each through its shot."""
    facts = bench.read_document(PROBE, Probe)
    if facts.video is None:
        return Skipped("no picture")
    try:
        detector = first_there(
            bench,
            settings.models,
            LOADERS,
            lambda: DlibFaceDetector(min_score=settings.min_score),
        )
    except Unavailable as error:
        return Skipped(str(error))
    seen = _Seen(settings.min_iou)
    shots = followed(
        bench,
        facts.video,
        settings,
        lambda image: [Candidate(*face) for face in detector.detect(image)],
    )
    bench.write_records(DETECTIONS, (each for shot in shots for each in seen.of(shot)))
    bench.write_artifacts(TRACKS, sorted(seen.tracks, key=lambda track: track.place))
    metrics = seen.metrics(detector.producer, facts.video.end_ms)
    bench.write_document(TRACK_METRICS, metrics)
    _warn(bench, metrics)
    if metrics.tracks and isinstance(detector, DlibFaceDetector):
        bench.warn(
            "built_in_faces",
            "faces were found by the built-in detector: frontal ones, no smaller than 70 of the "
            f"{settings.longest} pixels looked at; `filmgate models list` names a better one",
        )
    return Done(
        producer=detector.producer,
        counts={"false alarms": metrics.false_alarms},
        metrics=metrics.model_dump(mode="json", exclude={"producer"}),
    )


@dataclass
class _Seen:
    """What is kept of the tracks while shot after shot goes by."""

    min_iou: float
    tracks: list[Timed] = field(default_factory=list)
    strays: int = 0
    lost: int = 0
    switches: int = 0

    def of(self, shot: ShotTracks) -> Iterator[Detection]:
        """The detections of a shot, in order of time."""
        self.strays += len(shot.strays)
        self.switches += likely_switches(shot.trails, self.min_iou)
        found: list[tuple[Sighting, str | None]] = [(each, None) for each in shot.strays]
        for trail in shot.trails:
            name = f"f{len(self.tracks) + 1:05d}"
            self.lost += trail.life.end_ms < shot.shot.end_ms
            self.tracks.append(Timed(trail.life.start_ms, trail.life.end_ms, _track(trail, name)))
            found += [(each, name) for each in trail.sightings]
        found.sort(key=lambda each: (each[0].span, each[0].box))
        yield from (_detection(shot, sighting, name) for sighting, name in found)

    def metrics(self, producer: Producer, duration_ms: int) -> TrackMetrics:
        """Whether it went well."""
        lasting = sorted((each.end_ms - each.start_ms for each in self.tracks), reverse=True)
        count = len(lasting)
        short = sum(ms < SHORT_MS for ms in lasting)
        return TrackMetrics(
            producer=producer,
            tracks=count,
            lost=self.lost,
            likely_switches=self.switches,
            switch_rate=round(self.switches / count, 4) if count else None,
            tracks_per_minute=round(count * 60_000 / duration_ms, 2) if duration_ms else None,
            short_share=round(short / count, 4) if count else None,
            longest_ms=tuple(lasting[:5]),
            false_alarms=self.strays,
        )


def _track(trail: Trail, name: str) -> TrackV1:
    return TrackV1(
        track_id=name,
        subject="face",
        cluster_id=None,
        first_frame=trail.sightings[0].frame_number,
        last_frame=trail.last.frame_number,
        detections=trail.detections,
        confidence=trail.confidence,
    )


def _detection(shot: ShotTracks, sighting: Sighting, track_id: str | None) -> Detection:
    return Detection(
        track_id=track_id,
        frame_number=sighting.frame_number,
        span_start_ms=sighting.span.start_ms,
        span_end_ms=sighting.span.end_ms,
        bounding_box=shot.box(sighting),
        confidence=sighting.confidence,
        landmarks=tuple(
            (round(x * shot.scale, 1), round(y * shot.scale, 1)) for x, y in sighting.landmarks
        ),
    )


def _warn(bench: Bench, metrics: TrackMetrics) -> None:
    """Say in plain words what looks wrong."""
    enough = metrics.tracks >= ENOUGH
    if enough and (metrics.short_share or 0) > MANY_SHORT:
        bench.warn(
            "short_tracks",
            f"{metrics.short_share:.0%} of the face tracks last under a second: "
            "look more often (detect.rate), or accept weaker matches (detect.min_iou)",
        )
    if enough and (metrics.switch_rate or 0) > MANY_SWITCHES:
        bench.warn(
            "broken_tracks",
            f"{metrics.switch_rate:.0%} of the face tracks begin where another was just lost: "
            "look more often (detect.rate)",
        )
    if enough and (metrics.tracks_per_minute or 0) > MANY_A_MINUTE:
        bench.warn(
            "many_tracks",
            f"{metrics.tracks_per_minute:.0f} face tracks a minute are many: crowds, fast cuts, "
            "or false alarms (detect.min_detections)",
        )
