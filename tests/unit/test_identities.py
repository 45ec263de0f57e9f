"""Who is who: groups of tracks, and known people."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from filmgate.core.people import KnownPeople, Person, Reference
from filmgate.core.plan import Producer
from filmgate.media.spans import Span
from filmgate.pipelines.episode.rules.identities import group_tracks
from filmgate.pipelines.episode.rules.recognition import Recognised, recognise, told_apart

SAME = 0.4
BY = Producer(name="net", version="1", weights_sha256="a" * 64)


def lives(count: int) -> list[Span]:
    return [Span(start_ms=n * 1000, end_ms=n * 1000 + 900) for n in range(count)]


@given(st.lists(st.integers(0, 4), min_size=1, max_size=20))
def test_people_far_apart_are_found_exactly(who: list[int]) -> None:
    noise = np.random.default_rng(len(who)).normal(0, 0.01, (len(who), 8))
    means = (np.eye(8)[who] + noise).astype(np.float32)
    groups = group_tracks(means, lives(len(who)), same_person=SAME)
    assert sorted(index for group in groups for index in group) == list(range(len(who)))
    assert all(len({who[index] for index in group}) == 1 for group in groups)
    assert len(groups) == len(set(who))


@given(st.integers(2, 8))
def test_two_faces_at_the_same_time_are_two_people_however_alike(count: int) -> None:
    together = [Span(start_ms=0, end_ms=1000)] * count
    means = np.ones((count, 4), np.float32)
    assert len(group_tracks(means, together, same_person=SAME)) == count


@given(st.lists(st.integers(0, 4), min_size=1, max_size=40), st.integers(2, 7))
def test_many_tracks_are_grouped_in_parts_to_the_same_people(who: list[int], part: int) -> None:
    means = np.eye(8)[who].astype(np.float32)
    whole = group_tracks(means, lives(len(who)), same_person=SAME)
    assert group_tracks(means, lives(len(who)), same_person=SAME, at_once=part) == whole


def test_grouping_in_parts_does_not_mix_people_who_are_seen_often() -> None:
    chance = np.random.default_rng(7)
    people = chance.normal(size=(12, 64))
    who = np.repeat(np.arange(12), 30)
    chance.shuffle(who)
    tracks = people[who] + chance.normal(scale=0.7, size=(len(who), 64))
    means = (tracks / np.linalg.norm(tracks, axis=1, keepdims=True)).astype(np.float32)
    whole = group_tracks(means, lives(len(who)), same_person=1.128)
    parts = group_tracks(means, lives(len(who)), same_person=1.128, at_once=60)
    assert len(whole) == len(parts) == 12
    assert all(len({who[index] for index in group}) == 1 for group in [*whole, *parts])


def test_nobody_is_two_people_at_once() -> None:
    lisa = known(lisa=0.0).people[0]
    near = Recognised(person=lisa, distance=0.1, unsure=())
    far = Recognised(person=lisa, distance=0.3, unsure=())
    together = {"c1": [Span(start_ms=0, end_ms=900)], "c2": [Span(start_ms=500, end_ms=999)]}
    kept = told_apart({"c1": far, "c2": near}, together)
    assert (kept["c2"].person, kept["c1"].person) == (lisa, None)
    assert kept["c1"].unsure == ((lisa, 0.3),)
    apart = {"c1": together["c1"], "c2": [Span(start_ms=900, end_ms=999)]}
    assert told_apart({"c1": far, "c2": near}, apart)["c1"].person == lisa


def test_a_chain_of_lookalikes_is_not_one_person() -> None:
    means = np.array([[0.3 * n, 0] for n in range(6)], np.float32)
    assert len(group_tracks(means, lives(6), same_person=SAME)) > 1


def test_nobody_is_nobody() -> None:
    assert group_tracks(np.zeros((0, 4), np.float32), [], same_person=SAME) == []
    assert group_tracks(np.zeros((1, 4), np.float32), lives(1), same_person=SAME) == [[0]]


def known(**at: float) -> KnownPeople:
    return KnownPeople(
        people=tuple(
            Person(
                person_id=name,
                name=name.title(),
                references=(
                    Reference(model=BY.name, weights_sha256=BY.weights_sha256, vector=(where, 0.0)),
                ),
            )
            for name, where in at.items()
        )
    )


def test_who_is_near_and_alone_is_recognised() -> None:
    found = recognise((0.1, 0), BY, known(lisa=0.0, bart=1.0), same_person=SAME)
    assert found.person is not None
    assert (found.person.person_id, found.unsure) == ("lisa", ())


def test_between_two_nobody_is_named_and_both_are_told() -> None:
    found = recognise((0.1, 0), BY, known(lisa=0.0, maggie=0.22), same_person=SAME)
    assert found.person is None
    assert [person.person_id for person, _ in found.unsure] == ["lisa", "maggie"]


def test_who_is_almost_near_enough_is_told_and_not_named() -> None:
    found = recognise((0.45, 0), BY, known(lisa=0.0), same_person=SAME)
    assert found.person is None
    assert [person.person_id for person, _ in found.unsure] == ["lisa"]
    assert recognise((0.9, 0), BY, known(lisa=0.0), same_person=SAME).unsure == ()


def test_vectors_of_other_weights_are_not_compared() -> None:
    other = Producer(name="net", version="1", weights_sha256="b" * 64)
    found = recognise((0, 0), other, known(lisa=0.0), same_person=SAME)
    assert (found.person, found.unsure) == (None, ())
    assert recognise((0, 0, 0), BY, known(lisa=0.0), same_person=SAME).person is None
