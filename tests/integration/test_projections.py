"""Projections are what the artifacts say, no more and no less, however they came about."""

from dataclasses import replace
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from filmgate.core.payloads.artifact_type import ArtifactType
from filmgate.core.payloads.built_in import BUILT_IN
from filmgate.core.payloads.payload import Payload
from filmgate.core.payloads.projection import Column, Projection
from filmgate.db import projections
from filmgate.db.artifacts import Artifacts
from support.archive import face, place, said, scene, seen, shown, take_in
from support.database import ON_THE_DATABASE

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


@pytest.mark.parametrize("name", ["", "Waves", "a b", 'x"; drop table runs; --', "1a"])
def test_a_projection_with_no_name_for_a_table_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no name for a table"):
        Projection(name=name, artifact_type="x", columns=())
