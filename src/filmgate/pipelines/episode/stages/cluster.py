"""Cluster: whose faces they are, as this run groups them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from filmgate.core.payloads.detections import FaceDetectionV1
from filmgate.core.plan import Done, Outcome, Producer, Settings, stage
from filmgate.core.ports import Bench, Timed
from filmgate.media.spans import Span
from filmgate.pipelines.episode.files import (
    FACE_DETECTIONS,
    FACE_MODEL,
    FACE_VECTORS,
    FACES,
    IDENTITIES,
)
from filmgate.pipelines.episode.identified import faces_seen, owners, tracked
from filmgate.pipelines.episode.records import Detection, Face, FaceModel, Identity
from filmgate.pipelines.episode.rules.identities import group_tracks
from filmgate.pipelines.episode.stages.detect import detect
from filmgate.pipelines.episode.stages.faces import faces

if TYPE_CHECKING:
    from filmgate.core.providers import Vectors

RULE_VERSION = 1
"""Of the rule in `identities.py`; raised whenever it decides otherwise."""

LEAST_LENGTH = 1e-9

MANY_SINGLE, MANY_IN_ONE, ENOUGH = 0.5, 0.8, 6
"""Shares beyond which grouping looks wrong, where there are so many identities or tracks."""


class ClusterSettings(Settings):
    """How tracks are grouped."""

    same_person: Annotated[float, Field(gt=0)] | None = None
    """The average distance up to which two groups are one person; by default what the model of
    the vectors says of itself."""


@dataclass(frozen=True)
class _Track:
    name: str
    seen: Span
    """From its first detection to its last."""
    faces: list[Face]


@stage(
    requires=[detect.name, faces.name],
    makes=[IDENTITIES, FACE_DETECTIONS],
    settings=ClusterSettings,
    tools=["numpy", "scipy"],
    version=RULE_VERSION,
)
def cluster(bench: Bench, settings: ClusterSettings) -> Outcome:
    """Group the tracks that have a good face; give every face that was seen its group."""
    import numpy as np

    model = bench.read_document(FACE_MODEL, FaceModel)
    same_person = settings.same_person or model.same_person
    seen = faces_seen(bench)
    tracks = _tracks(bench.read_records(FACES, Face), seen)
    vectors: Vectors = np.load(bench.path(FACE_VECTORS), allow_pickle=False)
    means = np.array(
        [vectors[[face.face_index for face in track.faces]].mean(axis=0) for track in tracks],
        dtype=np.float32,
    ).reshape(len(tracks), model.dimensions)
    if model.is_unit:
        means = _unit(means)
    groups = group_tracks(means, [track.seen for track in tracks], same_person=same_person)
    identities = _identities(groups, tracks, means, is_unit=model.is_unit)
    bench.write_records(IDENTITIES, identities)
    names = owners(identities)
    bench.write_artifacts(FACE_DETECTIONS, _detections(bench, seen, names))
    single = sum(each.is_singleton for each in identities)
    largest = max((len(each.track_ids) for each in identities), default=0)
    _warn(bench, len(tracks), len(identities), single, largest)
    return Done(
        producer=Producer(name="filmgate-identities", version=str(RULE_VERSION)),
        counts={
            "tracks": len(tracks),
            "singletons": single,
            "tracks without a good face": len(seen) - len(tracks),
        },
        metrics={
            "singleton_share": round(single / len(identities), 4) if identities else None,
            "largest_share": round(largest / len(tracks), 4) if tracks else None,
            "same_person": same_person,
        },
    )


def _tracks(records: Iterator[Face], seen: Mapping[str, Span]) -> list[_Track]:
    """The tracks that have a face good enough, in order of time."""
    found: dict[str, list[Face]] = {}
    for face in records:
        found.setdefault(face.track_id, []).append(face)
    tracks = [_Track(name, seen[name], found[name]) for name in found]
    return sorted(tracks, key=lambda track: (track.seen, track.name))


def _unit(vectors: "Vectors") -> "Vectors":
    """The same directions, each of length 1."""
    import numpy as np

    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: Vectors = (vectors / np.maximum(lengths, LEAST_LENGTH)).astype(np.float32)
    return scaled


def _identities(
    groups: list[list[int]], tracks: list[_Track], means: "Vectors", *, is_unit: bool
) -> list[Identity]:
    """Somebody for each group; who is seen longest comes first."""
    import numpy as np

    def lasting(group: list[int]) -> tuple[int, int]:
        spans = [tracks[index].seen for index in group]
        return (-sum(span.duration_ms for span in spans), min(span.start_ms for span in spans))

    ordered = sorted(groups, key=lasting)
    centres = np.array([means[group].mean(axis=0) for group in ordered], dtype=np.float32)
    if is_unit and len(centres):
        centres = _unit(centres)
    found = []
    for number, group in enumerate(ordered):
        away = np.linalg.norm(centres - centres[number], axis=1)
        away[number] = np.inf
        near = int(away.argmin()) if len(ordered) > 1 else None
        members = [tracks[index] for index in group]
        pictures = [face for track in members for face in track.faces]
        found.append(
            Identity(
                identity_id=f"c{number + 1}",
                track_ids=tuple(track.name for track in members),
                faces=len(pictures),
                first_ms=min(track.seen.start_ms for track in members),
                last_ms=max(track.seen.end_ms for track in members),
                is_singleton=len(members) == 1,
                spread=_rounded(np.linalg.norm(means[group] - centres[number], axis=1).max()),
                nearest_id=None if near is None else f"c{near + 1}",
                nearest_distance=None if near is None else _rounded(away[near]),
                picture=max(pictures, key=_looks).crop,
                vector=tuple(_rounded(value, 6) for value in centres[number]),
            )
        )
    return found


def _looks(face: Face) -> tuple[float, str]:
    """How well a face's picture stands for somebody."""
    return (
        face.confidence * face.frontality * face.size_px * min(face.sharpness, 200.0),
        face.crop,
    )


def _detections(
    bench: Bench, seen: Mapping[str, Span], names: Mapping[str, str]
) -> Iterator[Timed]:
    """Every face of a track while it was seen: from its first detection to its last."""

    def at(each: Detection) -> tuple[int, int]:
        return (each.span_start_ms, each.span_end_ms)

    for (start_ms, end_ms), group in groupby(tracked(bench), key=at):
        here = [
            Timed(
                start_ms,
                end_ms,
                FaceDetectionV1(
                    confidence=each.confidence,
                    bounding_box=each.bounding_box,
                    cluster_id=names.get(each.track_id),
                    frame_number=each.frame_number,
                ),
            )
            for each in group
            if each.track_id is not None and _is_seen(each, seen[each.track_id])
        ]
        yield from sorted(here, key=lambda timed: timed.place)


def _is_seen(detection: Detection, seen: Span) -> bool:
    return seen.start_ms <= detection.span_start_ms < seen.end_ms


def _rounded(value: float, digits: int = 4) -> float:
    return round(float(value), digits)


def _warn(bench: Bench, tracks: int, people: int, single: int, largest: int) -> None:
    """Say in plain words what looks wrong."""
    if people >= ENOUGH and single > people * MANY_SINGLE:
        bench.warn(
            "many_singletons",
            f"{single} of {people} people have one track only: extras, or one person taken "
            "apart (raise cluster.same_person)",
        )
    if tracks >= ENOUGH and people > 1 and largest > tracks * MANY_IN_ONE:
        bench.warn(
            "one_large_cluster",
            f"{largest} of {tracks} tracks are one person: a monologue, or people taken for one "
            "(lower cluster.same_person)",
        )
