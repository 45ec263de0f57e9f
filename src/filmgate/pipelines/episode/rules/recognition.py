"""Who an identity is, among known people: near one, and not nearly as near another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import dist

from filmgate.core.people import KnownPeople, Person
from filmgate.core.plan import Producer
from filmgate.media.spans import Span
from filmgate.pipelines.episode.rules.presence import common_ms

MARGIN = 0.15
"""Of the distance at which two are one person: so much nearer must the first be than the second."""

DOUBT = 1.2
"""Up to so many times that distance somebody may be meant; a person should look."""


@dataclass(frozen=True, kw_only=True)
class Recognised:
    """What the face bank says of an identity."""

    person: Person | None
    """None where nobody is near, or two are."""
    distance: float | None
    """To that person."""
    unsure: tuple[tuple[Person, float], ...]
    """Whom it may be, with their distance, the nearest first; empty where it is sure or nobody."""


def recognise(
    vector: Sequence[float], by: Producer, known: KnownPeople, *, same_person: float
) -> Recognised:
    """Compare a vector with the references of the same weights; a person is as near as their
    nearest reference."""
    near = []
    for person in known.people:
        distances = [
            dist(vector, reference.vector)
            for reference in person.references
            if (reference.model, reference.weights_sha256) == (by.name, by.weights_sha256)
            and len(reference.vector) == len(vector)
        ]
        if distances and min(distances) <= same_person * DOUBT:
            near.append((min(distances), person.person_id, person))
    near.sort(key=lambda each: each[:2])
    if near and near[0][0] <= same_person:
        is_alone = len(near) == 1 or near[1][0] - near[0][0] >= MARGIN * same_person
        if is_alone:
            return Recognised(person=near[0][2], distance=round(near[0][0], 4), unsure=())
    unsure = tuple((person, round(distance, 4)) for distance, _, person in near)
    return Recognised(person=None, distance=None, unsure=unsure)


def told_apart(
    found: Mapping[str, Recognised], seen: Mapping[str, Sequence[Span]]
) -> dict[str, Recognised]:
    """The same, but nobody is two people at once: of identities whose faces are seen at the
    same time and taken for one person, the nearest keeps the name, and the others may be it."""
    kept: dict[str, Recognised] = {}
    nearest = sorted(found, key=lambda identity: (found[identity].distance or 0.0, identity))
    for identity in nearest:
        own = found[identity]
        if own.person is not None and own.distance is not None:
            rivals = [
                other
                for other, theirs in kept.items()
                if theirs.person == own.person and common_ms(seen[identity], seen[other])
            ]
            if rivals:
                own = Recognised(person=None, distance=None, unsure=((own.person, own.distance),))
        kept[identity] = own
    return kept
