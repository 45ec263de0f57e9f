"""Which faces belong to which body: together in time, and the face where a body has its head."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from filmgate.media.boxes import Box
from filmgate.media.spans import Span, shared_ms

HEAD_SHARE = 0.45
"""A face's middle lies in so much of its body's height, from the top. Standing, a head is an
eighth of a body; cut off at the waist it is a third, and detectors leave margins."""

MIN_FACE_INSIDE = 0.6
"""How much of a face lies inside its body's box."""

MIN_TOGETHER_MS = 200
"""Less is chance: somebody walks past."""


class Where(NamedTuple):
    """A track in one look."""

    span: Span
    box: Box


@dataclass(frozen=True, kw_only=True)
class Fused:
    """A body, and the face tracks that are its head's, in order of time."""

    body: str
    faces: tuple[str, ...]
    together_ms: int


def fits(face: Box, body: Box) -> bool:
    """Whether a face is where a body has its head."""
    _, y = face.centre
    is_inside = face.area > 0 and face.common(body) >= MIN_FACE_INSIDE * face.area
    return is_inside and y <= body.y + HEAD_SHARE * body.height and face.width <= body.width


def fuse(
    bodies: Mapping[str, Sequence[Where]], faces: Mapping[str, Sequence[Where]]
) -> list[Fused]:
    """Give face tracks to body tracks, such that the time they spend together is greatest.

    A face belongs to one body. A body has one face at a time, but may have several one after
    the other: a face that was lost and found. So the Hungarian method is asked again for the
    faces that are left, until none fits.
    """
    import numpy as np
    from scipy.optimize import linear_sum_assignment  # slow to import

    together = {
        (body, face): ms
        for body, wheres in bodies.items()
        for face, others in faces.items()
        if (ms := _together_ms(others, wheres)) >= MIN_TOGETHER_MS
    }
    given: dict[str, list[str]] = {}
    left = sorted({face for _, face in together})
    while left:
        rows = sorted(bodies)
        gains = np.zeros((len(rows), len(left)))
        for row, body in enumerate(rows):
            for column, face in enumerate(left):
                taken = given.get(body, [])
                if not any(_overlap(faces[face], faces[other]) for other in taken):
                    gains[row, column] = together.get((body, face), 0)
        pairs = [
            (rows[row], left[column])
            for row, column in zip(*linear_sum_assignment(gains, maximize=True), strict=True)
            if gains[row, column] > 0
        ]
        if not pairs:
            break
        for body, face in pairs:
            given.setdefault(body, []).append(face)
        left = [face for face in left if face not in {taken for _, taken in pairs}]
    return [
        Fused(
            body=body,
            faces=tuple(sorted(given[body], key=lambda face: faces[face][0].span)),
            together_ms=sum(together[body, face] for face in given[body]),
        )
        for body in sorted(given)
    ]


def _together_ms(face: Sequence[Where], body: Sequence[Where]) -> int:
    """How long a face is where the body has its head. Both in order of time, not overlapping."""
    total = first = 0
    for seen in face:
        while first < len(body) and body[first].span.end_ms <= seen.span.start_ms:
            first += 1
        index = first
        while index < len(body) and body[index].span.start_ms < seen.span.end_ms:
            if fits(seen.box, body[index].box):
                total += shared_ms(seen.span, body[index].span)
            index += 1
    return total


def _overlap(one: Iterable[Where], other: Iterable[Where]) -> bool:
    """Whether two tracks are seen at the same time."""
    mine, theirs = list(one), list(other)
    return (
        shared_ms(
            Span(start_ms=mine[0].span.start_ms, end_ms=mine[-1].span.end_ms),
            Span(start_ms=theirs[0].span.start_ms, end_ms=theirs[-1].span.end_ms),
        )
        > 0
    )
