"""Track fusion: assigns face tracks to body tracks, to identify people who turn away."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from filmgate.core.payloads.detections import PersonDetectionV1
from filmgate.core.plan import Done, Outcome, Producer, Settings, stage
from filmgate.core.ports import StageContext
from filmgate.media.spans import Span
from filmgate.pipelines.episode.files import BODY_TRACKS, PROBE, TRACK_FUSION
from filmgate.pipelines.episode.frame_sampling import read_shots
from filmgate.pipelines.episode.identities import (
    map_tracks_to_identities,
    read_identities,
    read_tracked_detections,
)
from filmgate.pipelines.episode.records import Fusion, Probe
from filmgate.pipelines.episode.rules.fusion import FusedBody, TrackBox, fuse_tracks
from filmgate.pipelines.episode.stages.body_tracking import body_tracking
from filmgate.pipelines.episode.stages.cluster import cluster
from filmgate.pipelines.episode.stages.detect import detect
from filmgate.pipelines.episode.stages.faces import faces
from filmgate.pipelines.episode.stages.probe import probe
from filmgate.pipelines.episode.stages.scenes import scenes
from filmgate.pipelines.episode.tracking import MAX_PART_MS, to_box

RULE_VERSION = 1
"""Version of the rule in `rules/fusion.py`; increased whenever its results change."""

TrackBoxes = dict[str, list[TrackBox]]


@stage(
    requires=[probe.name, detect.name, faces.name, body_tracking.name],
    uses=[scenes.name, cluster.name],
    makes=[TRACK_FUSION],
    aliases=["body_tracking_fusion"],
    tools=["numpy", "scipy"],
    version=RULE_VERSION,
)
def track_fusion(context: StageContext, settings: Settings) -> Outcome:  # noqa: ARG001 - no settings
    """Assign face tracks to body tracks, shot by shot."""
    facts = context.read_document(PROBE, Probe)
    assert facts.video is not None  # without a video track, `detect` and this stage are skipped
    identity_by_track = map_tracks_to_identities(read_identities(context))
    fusions: list[Fusion] = []
    bodies, heads = _TrackReader(_body_lines(context)), _TrackReader(_face_lines(context))
    for end_ms in _part_ends(read_shots(context, facts.video)):
        body_tracks = bodies.read_until(end_ms)
        fused_bodies = fuse_tracks(body_tracks, heads.read_until(end_ms))
        fusions += [_fusion(fused, body_tracks, identity_by_track) for fused in fused_bodies]
    context.write_records(TRACK_FUSION, fusions)
    return Done(
        producer=Producer(name="filmgate-fusion", version=str(RULE_VERSION)),
        counts={"named": sum(fusion.cluster_id is not None for fusion in fusions)},
    )


def _part_ends(shots: Iterable[Span]) -> Iterator[int]:
    """Yield the end of every part of every shot; no track extends beyond it."""
    for shot in shots:
        yield from range(shot.start_ms + MAX_PART_MS, shot.end_ms, MAX_PART_MS)
        yield shot.end_ms


class _TrackReader:
    """Reads tracks from a stream that is ordered by time, part by part."""

    def __init__(self, lines: Iterator[tuple[str, TrackBox]]) -> None:
        self._lines = lines
        self._next = next(lines, None)

    def read_until(self, end_ms: int) -> TrackBoxes:
        """Read the boxes that start before `end_ms`, by track, each ordered by time."""
        found: TrackBoxes = {}
        while self._next is not None and self._next[1].span.start_ms < end_ms:
            name, track_box = self._next
            found.setdefault(name, []).append(track_box)
            self._next = next(self._lines, None)
        return found


def _body_lines(context: StageContext) -> Iterator[tuple[str, TrackBox]]:
    for line in context.read_artifacts(BODY_TRACKS):
        payload = PersonDetectionV1.model_validate(line.payload)
        span = Span(start_ms=line.span_start_ms, end_ms=line.span_end_ms)
        if payload.track_id is not None:
            yield payload.track_id, TrackBox(span, to_box(payload.bounding_box))


def _face_lines(context: StageContext) -> Iterator[tuple[str, TrackBox]]:
    for detection in read_tracked_detections(context):
        if detection.track_id is not None:
            span = Span(start_ms=detection.span_start_ms, end_ms=detection.span_end_ms)
            yield detection.track_id, TrackBox(span, to_box(detection.bounding_box))


def _fusion(fused: FusedBody, bodies: TrackBoxes, identity_by_track: Mapping[str, str]) -> Fusion:
    body_boxes = bodies[fused.body]
    votes = Counter(
        identity_by_track[face] for face in fused.faces if face in identity_by_track
    ).most_common(2)
    is_clear = len(votes) == 1 or (len(votes) > 1 and votes[0][1] > votes[1][1])
    return Fusion(
        body_track_id=fused.body,
        face_track_ids=fused.faces,
        cluster_id=votes[0][0] if is_clear else None,
        span_start_ms=body_boxes[0].span.start_ms,
        span_end_ms=body_boxes[-1].span.end_ms,
        overlap_ms=fused.together_ms,
    )
