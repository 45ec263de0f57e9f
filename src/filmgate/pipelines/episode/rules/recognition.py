"""Recognition: an identity is a known person if it is near that person and far from all others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import dist

from filmgate.core.people import KnownPeople, Person
from filmgate.core.plan import Producer
from filmgate.media.spans import Span
from filmgate.pipelines.episode.rules.screen_presence import common_ms

MIN_MARGIN = 0.15
"""Minimum difference between the distances to the nearest and the second-nearest person, as a share
of `same_person`."""

UNSURE_FACTOR = 1.2
"""Up to this multiple of `same_person`, a person is an uncertain match that a user should check."""


@dataclass(frozen=True, kw_only=True)
class Recognition:
    """The result of comparing an identity with the known people."""

    person: Person | None
    """The recognised person; None if no person is near, or more than one."""
    distance: float | None
    """Distance to that person."""
    unsure: tuple[tuple[Person, float], ...]
    """Possible people with their distances, the nearest first; empty if a person is recognised or
    no person is near."""


def recognise(
    vector: Sequence[float], model: Producer, known: KnownPeople, *, same_person: float
) -> Recognition:
    """Compare a vector with the references of known people that were made by the same weights.

    The distance to a person is the distance to the nearest of their references.
    """
    near = []
    for person in known.people:
        distances = [
            dist(vector, reference.vector)
            for reference in person.references
            if (reference.model, reference.weights_sha256) == (model.name, model.weights_sha256)
            and len(reference.vector) == len(vector)
        ]
        if distances and min(distances) <= same_person * UNSURE_FACTOR:
            near.append((min(distances), person.person_id, person))
    near.sort(key=lambda match: match[:2])
    if near and near[0][0] <= same_person:
        is_alone = len(near) == 1 or near[1][0] - near[0][0] >= MIN_MARGIN * same_person
        if is_alone:
            return Recognition(person=near[0][2], distance=round(near[0][0], 4), unsure=())
    unsure = tuple((person, round(distance, 4)) for distance, _, person in near)
    return Recognition(person=None, distance=None, unsure=unsure)


def resolve_conflicts(
    recognitions: Mapping[str, Recognition], face_spans: Mapping[str, Sequence[Span]]
) -> dict[str, Recognition]:
    """Resolve identities that are visible at the same time and recognised as the same person.

    The person stays assigned to the nearest identity; for the others, the person becomes an
    uncertain match.
    """
    resolved: dict[str, Recognition] = {}
    nearest = sorted(
        recognitions, key=lambda identity: (recognitions[identity].distance or 0.0, identity)
    )
    for identity in nearest:
        recognition = recognitions[identity]
        if recognition.person is not None and recognition.distance is not None:
            rivals = [
                other
                for other, other_recognition in resolved.items()
                if other_recognition.person == recognition.person
                and common_ms(face_spans[identity], face_spans[other])
            ]
            if rivals:
                recognition = Recognition(
                    person=None, distance=None, unsure=((recognition.person, recognition.distance),)
                )
        resolved[identity] = recognition
    return resolved
