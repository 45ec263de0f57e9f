"""Projections are what the artifacts say, no more and no less, however they came about."""

import threading
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from filmgate.core.errors import Invalid
from filmgate.core.payloads.artifact_type import ArtifactType
from filmgate.core.payloads.built_in import BUILT_IN
from filmgate.core.payloads.payload import Payload
from filmgate.core.payloads.projection import Column, Projection
from filmgate.core.states import RunState
from filmgate.db import projections
from filmgate.db.artifacts import Artifacts
from filmgate.db.connection import connected
from support.archive import face, place, said, scene, seen, shown, take_in
from support.database import ON_THE_DATABASE
from support.side_by_side import at_once

OBJECTS = "select label, confidence from object_labels"
TABLES = [each.name for each in BUILT_IN.projections]
WORDS = ("gate", "rocket's moon", "Über den Wolken", "", "x\\y\t\n\"'{}")

labels = st.sampled_from(WORDS[:3])
payloads = {
    "scene": st.integers(0, 9).map(scene),
    "transcript.segment": st.builds(said, labels, st.sampled_from(["en", "de", None, "xx"])),
    "ocr.text": st.builds(shown, labels | st.just(WORDS[4]), st.none() | st.just(0.5)),
    "object.detection": st.builds(seen, labels),
    "face.detection": st.builds(face, st.none() | labels),
    "place.classification": st.builds(place, labels),
}
spans = st.tuples(st.integers(0, 9), st.integers(0, 9)).map(lambda s: (s[0], s[0] + s[1]))
runs = st.fixed_dictionaries(
    {
        name: st.lists(st.tuples(spans, payload).map(lambda r: (*r[0], r[1])), max_size=4)
        for name, payload in payloads.items()
    }
)


def contents(connection: psycopg.Connection, tables: list[str]) -> dict[str, list[str]]:
    return {
        table: sorted(str(row) for row in connection.execute(f"select * from {table}"))
        for table in tables
    }


@given(histories=st.lists(runs, min_size=1, max_size=3))
@ON_THE_DATABASE
def test_projections_say_what_the_artifacts_say_and_rebuilding_changes_nothing(
    connection: psycopg.Connection, histories: list[dict[str, Any]]
) -> None:
    with connection.transaction(force_rollback=True):
        for number, things in enumerate(histories):
            take_in(connection, things, run="again" if number else "first", revision=number + 1)
        stored = [histories[0], *histories[-1:][: len(histories) - 1]]
        assert sorted(connection.execute(OBJECTS).fetchall()) == sorted(
            (p["label"], p["confidence"]) for r in stored for *_, p in r["object.detection"]
        )
        assert sorted(connection.execute("select cluster_id from face_clusters").fetchall()) == [
            (name,)
            for name in sorted(
                p["cluster_id"] for r in stored for *_, p in r["face.detection"] if p["cluster_id"]
            )
        ]
        assert sorted(connection.execute("select text from ocr_fts").fetchall()) == sorted(
            (p["text"],) for r in stored for *_, p in r["ocr.text"]
        )
        for name, count in (("transcript_fts", "transcript.segment"), ("scene_ranges", "scene")):
            found = connection.execute(f"select count(*) from {name}").fetchone()
            assert found == (sum(len(r[count]) for r in stored),)
        derived = [*TABLES, "served", "served_words"]
        before = contents(connection, derived)
        counts = projections.rebuild(connection, BUILT_IN.projections)
        assert contents(connection, derived) == before
        assert counts == {name: len(before[name]) for name in TABLES}


def columns_and_key(connection: psycopg.Connection, table: str) -> tuple[list[Any], list[Any]]:
    columns = connection.execute(
        "select attname, format_type(atttypid, atttypmod) from pg_attribute"
        " where attrelid = %s::regclass and attnum > 0 order by attnum",
        [table],
    ).fetchall()
    key = connection.execute(
        "select pg_get_indexdef(indexrelid, n, true) from pg_index,"
        " generate_series(1, indnkeyatts) n where indrelid = %s::regclass and indisprimary",
        [table],
    ).fetchall()
    return columns, key


@pytest.mark.parametrize("projection", BUILT_IN.projections, ids=lambda each: each.name)
def test_the_tables_of_the_migrations_are_those_that_are_declared(
    connection: psycopg.Connection, projection: Projection
) -> None:
    connection.execute(projections.definition(replace(projection, name="declared")))
    migrated = columns_and_key(connection, projection.name)
    assert columns_and_key(connection, "declared") == migrated


class Wave(Payload):
    hand: str
    swings: int


WAVES = Projection(
    name="waves_by_hand",
    artifact_type="gesture.wave",
    columns=(
        Column(name="hand", type="text", value="payload ->> 'hand'"),
        Column(name="share", type="integer", value="(payload ->> 'swings')::integer % 7"),
    ),
    by=("hand",),
    where="payload ->> 'hand' like '%t'",
)
GESTURES = BUILT_IN.with_types(
    [ArtifactType(name="gesture.wave", version=1, model=Wave, projections=(WAVES,))]
)


def test_a_type_of_somebody_elses_brings_its_own_projection_and_touches_no_table(
    connection: psycopg.Connection,
) -> None:
    def tables() -> set[str]:
        rows = connection.execute(
            "select c.oid::regclass::text || ':' || string_agg(a.attname, ',' order by a.attnum)"
            " from pg_class c join pg_attribute a on a.attrelid = c.oid"
            " where c.relkind in ('r', 'p') and c.relnamespace = 'public'::regnamespace"
            " group by c.oid"
        )
        return {row[0] for row in rows}

    before = tables()
    waves = [(n, n + 1, {"hand": hand, "swings": n + 5}) for n, hand in enumerate(["left", "?"])]
    take_in(connection, {"gesture.wave": waves}, registry=GESTURES)
    (added,) = tables() - before
    assert added.startswith("waves_by_hand:")
    found = connection.execute("select hand, share from waves_by_hand").fetchall()
    assert found == [("left", 5)]
    assert projections.rebuild(connection, GESTURES.projections)["waves_by_hand"] == 1
    Artifacts(connection, GESTURES).delete("film:r1:gesture.wave:0")
    assert connection.execute("select * from waves_by_hand").fetchall() == []


def test_rebuilding_while_runs_come_in_leaves_what_the_artifacts_say(
    database_url: str, connection: psycopg.Connection
) -> None:
    def things(round_: int) -> dict[str, Any]:
        cars = [(n * 10 + round_, n * 10 + round_ + 1, seen(f"car{round_}")) for n in range(200)]
        return {"object.detection": cars, "scene": [(0, 1, scene(round_))]}

    for asset in ("film", "other"):
        take_in(connection, things(0), asset=asset)
    failures: list[BaseException] = []

    def come_in() -> None:
        try:
            with connected(database_url) as own:
                for number in range(1, 6):
                    take_in(own, things(number), asset="film", revision=number + 1)
        except BaseException as error:  # noqa: BLE001 - told by the assertion below
            failures.append(error)

    thread = threading.Thread(target=come_in)
    thread.start()
    for _ in range(8):
        projections.rebuild(connection, BUILT_IN.projections)
    thread.join()
    assert failures == []
    labels = "select run_key, ordinal, label from object_labels order by 1, 2"
    said_by_artifacts = (
        "select run_key, ordinal, payload ->> 'label' from artifact_rows"
        " join artifact_types using (type_key) where artifact_type = 'object.detection'"
        " order by 1, 2"
    )
    assert connection.execute(labels).fetchall() == connection.execute(said_by_artifacts).fetchall()


def test_new_types_that_come_in_at_once_do_not_wait_for_each_other_for_ever(
    database_url: str, connection: psycopg.Connection
) -> None:
    names = ["a", "b", "c"]
    types = [
        ArtifactType(
            name=name,
            version=1,
            model=Wave,
            projections=(replace(WAVES, name=f"waves_{name}", artifact_type=name),),
        )
        for name in names
    ]
    registry = BUILT_IN.with_types(types)

    def come_in(number: int) -> None:
        order = names if number % 2 else names[::-1]
        row = [(0, 1, {"hand": "left", "swings": 1})]
        with connected(database_url) as own:
            take_in(own, dict.fromkeys(order, row), asset=f"film{number}", registry=registry)

    assert at_once(come_in, 6) == []
    assert connection.execute("select count(*) from waves_b").fetchone() == (6,)


def test_a_run_that_comes_in_where_its_package_is_not_leaves_no_row_of_it_behind(
    connection: psycopg.Connection,
) -> None:
    waves = {"gesture.wave": [(0, 1, {"hand": "left", "swings": 1})]}
    take_in(connection, waves, registry=GESTURES)
    take_in(connection, {}, revision=2, status=RunState.FAILED)
    assert connection.execute("select * from waves_by_hand").fetchall() == []
    take_in(connection, waves, revision=3, registry=GESTURES)
    assert len(connection.execute("select * from waves_by_hand").fetchall()) == 1


@pytest.mark.parametrize("name", ["runs", "artifact_selections", "scene_ranges"])
def test_a_projection_by_the_name_of_another_table_is_refused_and_harms_nothing(
    connection: psycopg.Connection, name: str
) -> None:
    stranger = ArtifactType(
        name="gesture.wave", version=1, model=Wave, projections=(replace(WAVES, name=name),)
    )
    waves = {"gesture.wave": [(0, 1, {"hand": "left", "swings": 1})]}
    with pytest.raises(Invalid, match=f"{name}"):
        take_in(connection, waves, registry=BUILT_IN.with_types([stranger]))
    take_in(connection, waves, registry=GESTURES)
    changed = replace(WAVES, columns=WAVES.columns[:1])
    other = ArtifactType(name="gesture.wave", version=1, model=Wave, projections=(changed,))
    with pytest.raises(Invalid, match="waves_by_hand is not the projection of that name"):
        take_in(connection, waves, revision=2, registry=BUILT_IN.with_types([other]))


def test_a_value_too_long_for_an_index_is_told_as_such(connection: psycopg.Connection) -> None:
    long = "".join(chr(0x4E00 + n * 7 % 20000) for n in range(3000)) + "t"
    waves = {"gesture.wave": [(0, 1, {"hand": long, "swings": 1})]}
    with pytest.raises(psycopg.errors.ProgramLimitExceeded):
        take_in(connection, waves, registry=GESTURES)
    with pytest.raises(ValidationError):
        BUILT_IN.model("object.detection", 1).model_validate(seen(long))


def test_the_least_confidence_is_kept_as_it_is(connection: psycopg.Connection) -> None:
    take_in(connection, {"object.detection": [(0, 1, seen("car", 1e-300))]})
    found = connection.execute("select confidence from object_labels").fetchone()
    assert found == (1e-300,)


@pytest.mark.parametrize("name", ["", "Waves", "a b", 'x"; drop table runs; --', "1a"])
def test_a_projection_with_no_name_for_a_table_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no name for a table"):
        Projection(name=name, artifact_type="x", columns=())


def test_a_projection_with_a_column_that_it_has_anyway_is_refused() -> None:
    column = Column(name="ordinal", type="integer", value="1")
    with pytest.raises(ValueError, match="has ordinal anyway"):
        Projection(name="x", artifact_type="x", columns=(column,))
