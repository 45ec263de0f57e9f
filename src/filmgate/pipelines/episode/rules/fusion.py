"""Fusion of face tracks with body tracks: a face must be at the head of a body for some time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from filmgate.media.boxes import Box
from filmgate.media.spans import Span, overlapping, shared_ms

HEAD_SHARE = 0.45
"""Upper share of a body's height in which the centre of its face must be. A head is an eighth of a
standing body, and a third of a body that is cut off at the waist; detectors add margins."""

MIN_FACE_INSIDE = 0.6
"""Minimum share of a face's area that is inside its body's box."""

MIN_TOGETHER_MS = 200
"""Minimum time for which a face and a body are together; shorter matches are people who pass by."""


class TrackBox(NamedTuple):
    """The box of a track in one sampled frame."""

    span: Span
    box: Box


@dataclass(frozen=True, kw_only=True)
class FusedBody:
    """A body track, and the face tracks of its head, ordered by time."""

    body: str
    faces: tuple[str, ...]
    together_ms: int


def is_at_head(face: Box, body: Box) -> bool:
    """Whether a face is at the position of a body's head."""
    _, y = face.centre
    is_inside = face.area > 0 and face.intersection_area(body) >= MIN_FACE_INSIDE * face.area
    return is_inside and y <= body.y + HEAD_SHARE * body.height and face.width <= body.width


def fuse_tracks(
    bodies: Mapping[str, Sequence[TrackBox]], faces: Mapping[str, Sequence[TrackBox]]
) -> list[FusedBody]:
    """Assign face tracks to body tracks so that their total time together is greatest.

    A face belongs to one body. A body has one face at a time, but may have several in
    succession, if a face is lost and found again. Therefore the Hungarian method is repeated for
    the unassigned faces until no more can be assigned.
    """
    import numpy as np
    from scipy.optimize import linear_sum_assignment  # slow to import

    together = {
        (body, face): ms
        for body, body_boxes in bodies.items()
        for face, others in faces.items()
        if (ms := _together_ms(others, body_boxes)) >= MIN_TOGETHER_MS
    }
    assigned: dict[str, list[str]] = {}
    unassigned = sorted({face for _, face in together})
    while unassigned:
        rows = sorted(bodies)
        gains = np.zeros((len(rows), len(unassigned)))
        for row, body in enumerate(rows):
            for column, face in enumerate(unassigned):
                taken = assigned.get(body, [])
                if not any(_overlap_in_time(faces[face], faces[other]) for other in taken):
                    gains[row, column] = together.get((body, face), 0)
        pairs = [
            (rows[row], unassigned[column])
            for row, column in zip(*linear_sum_assignment(gains, maximize=True), strict=True)
            if gains[row, column] > 0
        ]
        if not pairs:
            break
        for body, face in pairs:
            assigned.setdefault(body, []).append(face)
        unassigned = [face for face in unassigned if face not in {taken for _, taken in pairs}]
    return [
        FusedBody(
            body=body,
            faces=tuple(sorted(assigned[body], key=lambda face: faces[face][0].span)),
            together_ms=sum(together[body, face] for face in assigned[body]),
        )
        for body in sorted(assigned)
    ]


def _together_ms(face: Sequence[TrackBox], body: Sequence[TrackBox]) -> int:
    """Return the time in ms for which the face is at the body's head.

    Both tracks are ordered by time, without overlaps.
    """
    pairs = overlapping([seen.span for seen in face], [seen.span for seen in body])
    return sum(
        shared_ms(face[i].span, body[j].span)
        for i, j in pairs
        if is_at_head(face[i].box, body[j].box)
    )


def _overlap_in_time(one: Sequence[TrackBox], other: Sequence[TrackBox]) -> bool:
    """Whether two tracks, each ordered by time, overlap in time."""
    start_ms = max(one[0].span.start_ms, other[0].span.start_ms)
    return start_ms < min(one[-1].span.end_ms, other[-1].span.end_ms)
