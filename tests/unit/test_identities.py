"""Clustering of face tracks, and recognition of known people."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from filmgate.core.people import KnownPeople, Person, Reference
from filmgate.core.plan import Producer
from filmgate.media.spans import Span
from filmgate.pipelines.episode.rules.identities import group_tracks
from filmgate.pipelines.episode.rules.recognition import Recognition, recognise, resolve_conflicts

SAME = 0.4
MODEL = Producer(name="net", version="1", weights_sha256="a" * 64)


def track_spans(count: int) -> list[Span]:
    return [Span(start_ms=n * 1000, end_ms=n * 1000 + 900) for n in range(count)]


@given(st.lists(st.integers(0, 4), min_size=1, max_size=20))
def test_people_with_distant_vectors_are_clustered_exactly(who: list[int]) -> None:
    noise = np.random.default_rng(len(who)).normal(0, 0.01, (len(who), 8))
    means = (np.eye(8)[who] + noise).astype(np.float32)
    groups = group_tracks(means, track_spans(len(who)), same_person=SAME)
    assert sorted(index for group in groups for index in group) == list(range(len(who)))
    assert all(len({who[index] for index in group}) == 1 for group in groups)
    assert len(groups) == len(set(who))


@given(st.integers(2, 8))
def test_two_faces_at_the_same_time_are_two_people_however_similar(count: int) -> None:
    together = [Span(start_ms=0, end_ms=1000)] * count
    means = np.ones((count, 4), np.float32)
    assert len(group_tracks(means, together, same_person=SAME)) == count


@given(st.lists(st.integers(0, 4), min_size=1, max_size=40), st.integers(2, 7))
def test_clustering_in_parts_gives_the_same_people(who: list[int], part: int) -> None:
    means = np.eye(8)[who].astype(np.float32)
    whole = group_tracks(means, track_spans(len(who)), same_person=SAME)
    assert group_tracks(means, track_spans(len(who)), same_person=SAME, max_compared=part) == whole


def test_clustering_in_parts_does_not_mix_people_with_many_tracks() -> None:
    chance = np.random.default_rng(7)
    people = chance.normal(size=(12, 64))
    who = np.repeat(np.arange(12), 30)
    chance.shuffle(who)
    tracks = people[who] + chance.normal(scale=0.7, size=(len(who), 64))
    means = (tracks / np.linalg.norm(tracks, axis=1, keepdims=True)).astype(np.float32)
    whole = group_tracks(means, track_spans(len(who)), same_person=1.128)
    parts = group_tracks(means, track_spans(len(who)), same_person=1.128, max_compared=60)
    assert len(whole) == len(parts) == 12
    assert all(len({who[index] for index in group}) == 1 for group in [*whole, *parts])


def test_of_identities_visible_at_the_same_time_only_one_is_a_given_person() -> None:
    lisa = known(lisa=0.0).people[0]
    near = Recognition(person=lisa, distance=0.1, unsure=())
    far = Recognition(person=lisa, distance=0.3, unsure=())
    together = {"c1": [Span(start_ms=0, end_ms=900)], "c2": [Span(start_ms=500, end_ms=999)]}
    resolved = resolve_conflicts({"c1": far, "c2": near}, together)
    assert (resolved["c2"].person, resolved["c1"].person) == (lisa, None)
    assert resolved["c1"].unsure == ((lisa, 0.3),)
    apart = {"c1": together["c1"], "c2": [Span(start_ms=900, end_ms=999)]}
    assert resolve_conflicts({"c1": far, "c2": near}, apart)["c1"].person == lisa


def test_a_chain_of_lookalikes_is_not_one_person() -> None:
    means = np.array([[0.3 * n, 0] for n in range(6)], np.float32)
    assert len(group_tracks(means, track_spans(6), same_person=SAME)) > 1


def test_no_track_gives_no_group_and_one_track_gives_one_group() -> None:
    assert group_tracks(np.zeros((0, 4), np.float32), [], same_person=SAME) == []
    assert group_tracks(np.zeros((1, 4), np.float32), track_spans(1), same_person=SAME) == [[0]]


def known(**positions: float) -> KnownPeople:
    return KnownPeople(
        people=tuple(
            Person(
                person_id=name,
                name=name.title(),
                references=(
                    Reference(
                        model=MODEL.name,
                        weights_sha256=MODEL.weights_sha256,
                        vector=(position, 0.0),
                    ),
                ),
            )
            for name, position in positions.items()
        )
    )


def test_the_only_near_person_is_recognised() -> None:
    found = recognise((0.1, 0), MODEL, known(lisa=0.0, bart=1.0), same_person=SAME)
    assert found.person is not None
    assert (found.person.person_id, found.unsure) == ("lisa", ())


def test_between_two_near_people_nobody_is_recognised_and_both_are_reported() -> None:
    found = recognise((0.1, 0), MODEL, known(lisa=0.0, maggie=0.22), same_person=SAME)
    assert found.person is None
    assert [person.person_id for person, _ in found.unsure] == ["lisa", "maggie"]


def test_a_person_who_is_almost_near_enough_is_reported_but_not_recognised() -> None:
    found = recognise((0.45, 0), MODEL, known(lisa=0.0), same_person=SAME)
    assert found.person is None
    assert [person.person_id for person, _ in found.unsure] == ["lisa"]
    assert recognise((0.9, 0), MODEL, known(lisa=0.0), same_person=SAME).unsure == ()


def test_vectors_of_other_weights_are_not_compared() -> None:
    other = Producer(name="net", version="1", weights_sha256="b" * 64)
    found = recognise((0, 0), other, known(lisa=0.0), same_person=SAME)
    assert (found.person, found.unsure) == (None, ())
    assert recognise((0, 0, 0), MODEL, known(lisa=0.0), same_person=SAME).person is None
