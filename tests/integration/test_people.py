"""Known people in the database, and the screen time of all people."""

from typing import Any

import psycopg
import pytest

from filmgate.core.errors import Conflict, NotFound
from filmgate.core.people import Likeness
from filmgate.core.plan import Producer
from filmgate.core.selection import Selection
from filmgate.db.artifact_queries import ArtifactQueries
from filmgate.db.erasure import ErasureStore
from filmgate.db.people import PeopleStore, slug_of
from filmgate.pipelines.episode.screen_times import PersonTime
from support.archive import appearance_payload, ingest_artifacts
from support.database import FILM, connection, serving
from support.published import HASH, person_time, screen_time

__all__ = ["connection", "serving"]


NET = Producer(name="net", version="1", weights_sha256="a" * 64)


@pytest.fixture
def people(connection: psycopg.Connection) -> PeopleStore:
    return PeopleStore(connection)


def ingest_people(connection: psycopg.Connection, *persons: PersonTime, **options: Any) -> None:
    """Ingest a run with the screen time of persons; `options`: as for `ingest_artifacts`."""
    times = screen_time(*persons)
    rows = [(0, 5000, appearance_payload(person.identity_id)) for person in persons]
    ingest_artifacts(connection, {"screentime.segment": rows}, screentime=times, **options)


def test_a_new_name_adds_a_person_and_a_known_name_adds_a_face_to_them(
    people: PeopleStore,
) -> None:
    first = people.name("film", "r1", "c1", "Lisa", NET, [0.1, 0.2], HASH)
    again = people.name("film", "r1", "c3", "lisa", NET, [0.3, 0.2], HASH)
    assert (first.person_id, again.person_id, again.name) == ("lisa", "lisa", "Lisa")
    assert [each.cluster_id for each in again.clusters] == ["c1", "c3"]
    (known,) = people.known().people
    assert [reference.vector for reference in known.references] == [(0.1, 0.2), (0.3, 0.2)]
    assert {reference.weights_sha256 for reference in known.references} == {"a" * 64}


def test_a_cluster_can_be_named_again_and_its_name_removed(people: PeopleStore) -> None:
    people.name("film", "r1", "c1", "Lisa", NET, [0.1], HASH)
    people.name("film", "r1", "c1", "Bart", NET, [0.1], HASH)
    clusters = {each.name: len(each.clusters) for each in people.all().people}
    assert clusters == {"Lisa": 0, "Bart": 1}
    people.unname("film", "r1", "c1")
    with pytest.raises(NotFound, match="has no name"):
        people.unname("film", "r1", "c1")


def test_ids_of_people_are_readable_and_unique(people: PeopleStore) -> None:
    names = ["Zoë O'Hara", "Zoe O Hara", "王", "Ли"]
    ids = [
        people.name("film", "r1", f"c{n}", name, NET, [0.1], HASH).person_id
        for n, name in enumerate(names)
    ]
    assert ids == ["zoe-o-hara", "zoe-o-hara-2", "person", "person-2"]
    assert slug_of("  ") == "person"


def test_a_taken_name_is_refused_and_a_person_can_be_removed(people: PeopleStore) -> None:
    people.name("film", "r1", "c1", "Lisa", NET, [0.1], HASH)
    people.name("film", "r1", "c2", "Bart", NET, [0.2], HASH)
    with pytest.raises(Conflict, match="another person named 'Lisa' already exists"):
        people.rename("bart", "Lisa")
    assert people.rename("bart", "Bartholomew").person_id == "bart"
    assert people.remove("Bartholomew").person_id == "bart"
    assert [each.name for each in people.all().people] == ["Lisa"]
    with pytest.raises(NotFound, match="person 'bart' does not exist"):
        people.remove("bart")


def test_screen_time_is_served_from_the_same_run_as_appearances(
    connection: psycopg.Connection, serving: ArtifactQueries
) -> None:
    ingest_people(connection, person_time("c1"), run="r1", profile="fast")
    ingest_people(connection, person_time("c1", face=900), person_time("c2"), run="r2", finished=9)
    answer = serving.screentime(FILM)
    assert answer.runs == {"screentime.segment": "r2"}
    assert [(each.identity_id, each.onscreen_ms) for each in answer.people] == [
        ("c1", 1200),
        ("c2", 1000),
    ]
    assert answer.people[0].speaking_ms is None
    fast = serving.screentime(FILM, Selection.of(profile="fast"))
    assert fast.runs == {"screentime.segment": "r1"}
    with pytest.raises(NotFound, match="has no 'person' artifacts"):
        serving.screentime(FILM, Selection.of(profile="high_quality"))
    with pytest.raises(NotFound, match="asset 'nope' is not in the database"):
        serving.screentime("nope")  # type: ignore[arg-type]


def test_a_name_given_by_a_user_has_priority_over_recognition(
    connection: psycopg.Connection, serving: ArtifactQueries, people: PeopleStore
) -> None:
    lisa = people.name("other", "r0", "c9", "Lisa", NET, [0.1], HASH)
    unsure = (Likeness(person_id=lisa.person_id, name="Lisa", distance=0.4),)
    ingest_people(
        connection,
        person_time("c1", person_id="lisa", name="Lisa"),
        person_time("c2", unsure=unsure),
    )
    known, doubtful = serving.screentime(FILM).people
    assert (known.name, known.person_id, known.is_named) == ("Lisa", "lisa", False)
    assert (doubtful.name, [each.name for each in doubtful.unsure]) == (None, ["Lisa"])
    people.name("film", "r1", "c1", "Bart", NET, [0.1], HASH)
    people.name("film", "r1", "c2", "Lisa", NET, [0.1], HASH)
    first, second = serving.screentime(FILM).people
    assert (first.name, first.is_named) == ("Bart", True)
    assert (second.name, second.unsure) == ("Lisa", ())
    people.remove("Bart")
    assert serving.screentime(FILM).people[0].name == "Lisa"


def test_a_later_revision_replaces_screen_times(
    connection: psycopg.Connection, serving: ArtifactQueries
) -> None:
    ingest_people(connection, person_time("c1"), person_time("c2"))
    ingest_people(connection, person_time("c1", face=100), revision=2, finished=1)
    assert [each.face_visible_ms for each in serving.screentime(FILM).people] == [100]


def test_the_database_refuses_inconsistent_screen_times(
    connection: psycopg.Connection,
) -> None:
    ingest_people(connection, person_time("c1"))
    with pytest.raises(psycopg.errors.CheckViolation):
        connection.execute("update screenalytics.person_metrics set onscreen_ms = 1")


def test_a_name_belongs_to_a_face_not_to_a_cluster_number(
    connection: psycopg.Connection, serving: ArtifactQueries, people: PeopleStore
) -> None:
    ingest_people(connection, person_time("c1"))
    people.name("film", "r1", "c1", "Lisa", NET, [0.1], HASH)
    assert serving.screentime(FILM).people[0].name == "Lisa"
    regrouped = person_time("c1", vector_sha256="d" * 64)
    ingest_people(connection, regrouped, revision=2, finished=1)
    assert serving.screentime(FILM).people[0].name is None


def test_a_name_that_looks_like_a_cluster_id_gets_a_distinct_id(people: PeopleStore) -> None:
    assert people.name("film", "r1", "c1", "C1", NET, [0.1], HASH).person_id == "person-c1"


def test_an_erasure_deletes_the_person_and_the_name_in_screen_times(
    connection: psycopg.Connection, serving: ArtifactQueries, people: PeopleStore
) -> None:
    people.name("other", "r0", "c9", "Lisa", NET, [0.1], HASH)
    people.name("other", "r0", "c8", "Bart", NET, [0.2], HASH)
    unsure = tuple(
        Likeness(person_id=name.lower(), name=name, distance=0.4) for name in ("Lisa", "Bart")
    )
    ingest_people(
        connection,
        person_time("c1", person_id="lisa", name="Lisa"),
        person_time("c2", unsure=unsure),
        person_time("c3", person_id="bart", name="Bart"),
    )
    store = ErasureStore(connection)
    assert store.runs_with_person("lisa") == [("film", "r1")]
    store.remove("lisa")
    assert store.compact([FILM]) == ()
    assert store.runs_with_person("lisa") == []
    rows = connection.execute(
        "select identity_id, person_id, unsure from product_person_metrics order by identity_id"
    ).fetchall()
    assert [row[:2] for row in rows] == [("c1", "c1"), ("c2", "c2"), ("c3", "bart")]
    assert [each["name"] for each in rows[1][2]] == ["Bart"]
    assert [each.name for each in people.all().people] == ["Bart"]


def test_an_erasure_removes_no_person_whose_name_is_the_id_of_the_erased_one(
    connection: psycopg.Connection, people: PeopleStore
) -> None:
    erased = people.name("film", "r1", "c1", "Lisa B", NET, [0.1], HASH)
    other = people.name("film", "r1", "c2", "Lisa-B", NET, [0.2], HASH)
    assert (erased.person_id, other.person_id) == ("lisa-b", "lisa-b-2")
    ErasureStore(connection).remove(erased.person_id)
    (left,) = people.all().people
    assert (left.name, len(left.clusters)) == ("Lisa-B", 1)
