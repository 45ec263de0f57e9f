"""Cluster: groups the face tracks of a run by person."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from filmgate.core.payloads.detections import FaceDetectionV1
from filmgate.core.plan import Done, Outcome, Producer, Settings, stage
from filmgate.core.ports import StageContext, Timed
from filmgate.media.spans import Span
from filmgate.pipelines.episode.files import (
    FACE_DETECTIONS,
    FACE_MODEL,
    FACE_VECTORS,
    FACES,
    IDENTITIES,
)
from filmgate.pipelines.episode.identities import (
    map_tracks_to_identities,
    read_detected_spans,
    read_tracked_detections,
)
from filmgate.pipelines.episode.records import Detection, Face, FaceModel, Identity
from filmgate.pipelines.episode.rules.identities import group_tracks
from filmgate.pipelines.episode.stages.detect import detect
from filmgate.pipelines.episode.stages.faces import faces

if TYPE_CHECKING:
    from filmgate.core.providers import Vectors

RULE_VERSION = 1
"""Version of the rule in `rules/identities.py`; increased whenever its results change."""

MIN_LENGTH = 1e-9
"""Minimum length by which a vector is divided; it prevents division by zero."""

MAX_SINGLETON_SHARE, MAX_LARGEST_SHARE, MIN_COUNT = 0.5, 0.8, 6
"""Share of identities with one track, and share of tracks in the largest identity, above which the
clustering looks wrong. Each is checked if there are at least `MIN_COUNT` identities or tracks."""


class ClusterSettings(Settings):
    """How tracks are clustered."""

    same_person: Annotated[float, Field(gt=0)] | None = None
    """Maximum average distance between two groups of tracks of one person; by default the value of
    the face model."""


@dataclass(frozen=True)
class _Track:
    name: str
    span: Span
    """From its first detection to its last."""
    faces: list[Face]


@stage(
    requires=[detect.name, faces.name],
    makes=[IDENTITIES, FACE_DETECTIONS],
    settings=ClusterSettings,
    tools=["numpy", "scipy"],
    version=RULE_VERSION,
)
def cluster(context: StageContext, settings: ClusterSettings) -> Outcome:
    """Cluster the tracks that have a good face; assign every detected face to its cluster."""
    import numpy as np

    model = context.read_document(FACE_MODEL, FaceModel)
    same_person = settings.same_person or model.same_person
    detected_spans = read_detected_spans(context)
    tracks = _tracks(context.read_records(FACES, Face), detected_spans)
    vectors: Vectors = np.load(context.path(FACE_VECTORS), allow_pickle=False)
    means = np.array(
        [vectors[[face.face_index for face in track.faces]].mean(axis=0) for track in tracks],
        dtype=np.float32,
    ).reshape(len(tracks), model.dimensions)
    if model.is_unit:
        means = _unit(means)
    groups = group_tracks(means, [track.span for track in tracks], same_person=same_person)
    identities = _identities(groups, tracks, means, is_unit=model.is_unit)
    context.write_records(IDENTITIES, identities)
    identity_by_track = map_tracks_to_identities(identities)
    context.write_artifacts(
        FACE_DETECTIONS, _detections(context, detected_spans, identity_by_track)
    )
    singletons = sum(identity.is_singleton for identity in identities)
    largest = max((len(identity.track_ids) for identity in identities), default=0)
    _warn(context, len(tracks), len(identities), singletons, largest)
    return Done(
        producer=Producer(name="filmgate-identities", version=str(RULE_VERSION)),
        counts={
            "tracks": len(tracks),
            "singletons": singletons,
            "tracks without a good face": len(detected_spans) - len(tracks),
        },
        metrics={
            "singleton_share": round(singletons / len(identities), 4) if identities else None,
            "largest_share": round(largest / len(tracks), 4) if tracks else None,
            "same_person": same_person,
        },
    )


def _tracks(records: Iterator[Face], detected_spans: Mapping[str, Span]) -> list[_Track]:
    """Collect the tracks that have a good face, ordered by time."""
    found: dict[str, list[Face]] = {}
    for face in records:
        found.setdefault(face.track_id, []).append(face)
    tracks = [_Track(name, detected_spans[name], found[name]) for name in found]
    return sorted(tracks, key=lambda track: (track.span, track.name))


def _unit(vectors: "Vectors") -> "Vectors":
    """Normalise vectors to length 1."""
    import numpy as np

    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: Vectors = (vectors / np.maximum(lengths, MIN_LENGTH)).astype(np.float32)
    return scaled


def _identities(
    groups: list[list[int]], tracks: list[_Track], means: "Vectors", *, is_unit: bool
) -> list[Identity]:
    """Make an identity of each group; the person who is visible longest comes first."""
    import numpy as np

    def longest_first(group: list[int]) -> tuple[int, int]:
        spans = [tracks[index].span for index in group]
        return (-sum(span.duration_ms for span in spans), min(span.start_ms for span in spans))

    ordered = sorted(groups, key=longest_first)
    centres = np.array([means[group].mean(axis=0) for group in ordered], dtype=np.float32)
    if is_unit and len(centres):
        centres = _unit(centres)
    found = []
    for number, group in enumerate(ordered):
        distances = np.linalg.norm(centres - centres[number], axis=1)
        distances[number] = np.inf
        nearest = int(distances.argmin()) if len(ordered) > 1 else None
        members = [tracks[index] for index in group]
        member_faces = [face for track in members for face in track.faces]
        found.append(
            Identity(
                identity_id=f"c{number + 1}",
                track_ids=tuple(track.name for track in members),
                faces=len(member_faces),
                first_ms=min(track.span.start_ms for track in members),
                last_ms=max(track.span.end_ms for track in members),
                is_singleton=len(members) == 1,
                spread=_rounded(np.linalg.norm(means[group] - centres[number], axis=1).max()),
                nearest_id=None if nearest is None else f"c{nearest + 1}",
                nearest_distance=None if nearest is None else _rounded(distances[nearest]),
                picture=max(member_faces, key=_picture_quality).crop,
                vector=tuple(_rounded(value, 6) for value in centres[number]),
            )
        )
    return found


def _picture_quality(face: Face) -> tuple[float, str]:
    """Rate how well a face crop represents its person."""
    return (
        face.confidence * face.frontality * face.size_px * min(face.sharpness, 200.0),
        face.crop,
    )


def _detections(
    context: StageContext, detected_spans: Mapping[str, Span], identity_by_track: Mapping[str, str]
) -> Iterator[Timed]:
    """Yield every face of a track from its first detection to its last, ordered by time."""

    def span_of(detection: Detection) -> tuple[int, int]:
        return (detection.span_start_ms, detection.span_end_ms)

    for (start_ms, end_ms), group in groupby(read_tracked_detections(context), key=span_of):
        timed_faces = [
            Timed(
                start_ms,
                end_ms,
                FaceDetectionV1(
                    confidence=face.confidence,
                    bounding_box=face.bounding_box,
                    cluster_id=identity_by_track.get(face.track_id),
                    frame_number=face.frame_number,
                ),
            )
            for face in group
            if face.track_id is not None and _is_within(face, detected_spans[face.track_id])
        ]
        yield from sorted(timed_faces, key=lambda timed: timed.sort_key)


def _is_within(detection: Detection, span: Span) -> bool:
    return span.start_ms <= detection.span_start_ms < span.end_ms


def _rounded(value: float, digits: int = 4) -> float:
    return round(float(value), digits)


def _warn(context: StageContext, tracks: int, people: int, singletons: int, largest: int) -> None:
    """Warn about a clustering that looks wrong."""
    if people >= MIN_COUNT and singletons > people * MAX_SINGLETON_SHARE:
        context.warn(
            "many_singletons",
            f"{singletons} of {people} people have one track only: they are extras, or one person "
            "was split into several (raise cluster.same_person)",
        )
    if tracks >= MIN_COUNT and people > 1 and largest > tracks * MAX_LARGEST_SHARE:
        context.warn(
            "one_large_cluster",
            f"{largest} of {tracks} tracks are one person: it is a monologue, or several people "
            "were merged (lower cluster.same_person)",
        )
