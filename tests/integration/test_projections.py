"""The rows of projections match the artifacts, whether filled at the ingest or rebuilt."""

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
from support.archive import (
    face_payload,
    ingest_artifacts,
    object_payload,
    ocr_payload,
    place_payload,
    scene_payload,
    transcript_payload,
)
from support.concurrency import run_concurrently
from support.database import ON_THE_DATABASE

OBJECTS = "select label, confidence from object_labels"
TABLES = [projection.name for projection in BUILT_IN.projections]
WORDS = ("gate", "rocket's moon", "Über den Wolken", "", "x\\y\t\n\"'{}")

labels = st.sampled_from(WORDS[:3])
payloads = {
    "scene": st.integers(0, 9).map(scene_payload),
    "transcript.segment": st.builds(
        transcript_payload, labels, st.sampled_from(["en", "de", None, "xx"])
    ),
    "ocr.text": st.builds(ocr_payload, labels | st.just(WORDS[4]), st.none() | st.just(0.5)),
    "object.detection": st.builds(object_payload, labels),
    "face.detection": st.builds(face_payload, st.none() | labels),
    "place.classification": st.builds(place_payload, labels),
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
def test_projections_match_the_artifacts_and_rebuilding_changes_nothing(
    connection: psycopg.Connection, histories: list[dict[str, Any]]
) -> None:
    with connection.transaction(force_rollback=True):
        for number, artifacts in enumerate(histories):
            ingest_artifacts(
                connection, artifacts, run="again" if number else "first", revision=number + 1
            )
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


@pytest.mark.parametrize("projection", BUILT_IN.projections, ids=lambda projection: projection.name)
def test_tables_made_by_migrations_match_the_declared_projections(
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


def test_a_third_party_type_adds_its_projection_and_changes_no_other_table(
    connection: psycopg.Connection,
) -> None:
    def tables() -> set[str]:
        rows = connection.execute(
            "select c.oid::regclass::text || ':' || string_agg(a.attname, ',' order by a.attnum)"
            " from pg_class c join pg_attribute a on a.attrelid = c.oid"
            " where c.relkind in ('r', 'p') and c.relnamespace = 'filmgate'::regnamespace"
            " group by c.oid"
        )
        return {row[0] for row in rows}

    before = tables()
    waves = [(n, n + 1, {"hand": hand, "swings": n + 5}) for n, hand in enumerate(["left", "?"])]
    ingest_artifacts(connection, {"gesture.wave": waves}, registry=GESTURES)
    (added,) = tables() - before
    assert added.startswith("waves_by_hand:")
    found = connection.execute("select hand, share from waves_by_hand").fetchall()
    assert found == [("left", 5)]
    assert projections.rebuild(connection, GESTURES.projections)["waves_by_hand"] == 1
    Artifacts(connection, GESTURES).delete("film:r1:gesture.wave:0")
    assert connection.execute("select * from waves_by_hand").fetchall() == []


def test_rebuilding_during_ingests_keeps_projections_consistent(
    database_url: str, connection: psycopg.Connection
) -> None:
    def artifacts(round_: int) -> dict[str, Any]:
        cars = [
            (n * 10 + round_, n * 10 + round_ + 1, object_payload(f"car{round_}"))
            for n in range(200)
        ]
        return {"object.detection": cars, "scene": [(0, 1, scene_payload(round_))]}

    for asset in ("film", "other"):
        ingest_artifacts(connection, artifacts(0), asset=asset)
    failures: list[BaseException] = []

    def ingest_revisions() -> None:
        try:
            with connected(database_url) as own:
                for number in range(1, 6):
                    ingest_artifacts(own, artifacts(number), asset="film", revision=number + 1)
        except BaseException as error:  # noqa: BLE001 - reported by the assertion below
            failures.append(error)

    thread = threading.Thread(target=ingest_revisions)
    thread.start()
    for _ in range(8):
        projections.rebuild(connection, BUILT_IN.projections)
    thread.join()
    assert failures == []
    labels = "select run_key, ordinal, label from object_labels order by 1, 2"
    labels_of_artifacts = (
        "select run_key, ordinal, payload ->> 'label' from artifact_rows"
        " join artifact_types using (type_key) where artifact_type = 'object.detection'"
        " order by 1, 2"
    )
    expected = connection.execute(labels_of_artifacts).fetchall()
    assert connection.execute(labels).fetchall() == expected


def test_concurrent_ingests_of_new_types_do_not_deadlock(
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

    def ingest(number: int) -> None:
        order = names if number % 2 else names[::-1]
        row = [(0, 1, {"hand": "left", "swings": 1})]
        with connected(database_url) as own:
            ingest_artifacts(
                own, dict.fromkeys(order, row), asset=f"film{number}", registry=registry
            )

    assert run_concurrently(ingest, 6) == []
    assert connection.execute("select count(*) from waves_b").fetchone() == (6,)


def test_an_ingest_without_the_types_package_deletes_the_runs_projection_rows(
    connection: psycopg.Connection,
) -> None:
    waves = {"gesture.wave": [(0, 1, {"hand": "left", "swings": 1})]}
    ingest_artifacts(connection, waves, registry=GESTURES)
    ingest_artifacts(connection, {}, revision=2, status=RunState.FAILED)
    assert connection.execute("select * from waves_by_hand").fetchall() == []
    ingest_artifacts(connection, waves, revision=3, registry=GESTURES)
    assert len(connection.execute("select * from waves_by_hand").fetchall()) == 1


@pytest.mark.parametrize("name", ["runs", "artifact_selections", "scene_ranges"])
def test_a_projection_with_the_name_of_another_table_is_refused(
    connection: psycopg.Connection, name: str
) -> None:
    conflicting = ArtifactType(
        name="gesture.wave", version=1, model=Wave, projections=(replace(WAVES, name=name),)
    )
    waves = {"gesture.wave": [(0, 1, {"hand": "left", "swings": 1})]}
    with pytest.raises(Invalid, match=f"{name}"):
        ingest_artifacts(connection, waves, registry=BUILT_IN.with_types([conflicting]))
    ingest_artifacts(connection, waves, registry=GESTURES)
    changed = replace(WAVES, columns=WAVES.columns[:1])
    other = ArtifactType(name="gesture.wave", version=1, model=Wave, projections=(changed,))
    with pytest.raises(Invalid, match="waves_by_hand does not match the projection"):
        ingest_artifacts(connection, waves, revision=2, registry=BUILT_IN.with_types([other]))


def test_a_value_too_long_for_an_index_is_refused(connection: psycopg.Connection) -> None:
    long = "".join(chr(0x4E00 + n * 7 % 20000) for n in range(3000)) + "t"
    waves = {"gesture.wave": [(0, 1, {"hand": long, "swings": 1})]}
    with pytest.raises(psycopg.errors.ProgramLimitExceeded):
        ingest_artifacts(connection, waves, registry=GESTURES)
    with pytest.raises(ValidationError):
        BUILT_IN.model("object.detection", 1).model_validate(object_payload(long))


def test_a_tiny_confidence_is_stored_exactly(connection: psycopg.Connection) -> None:
    ingest_artifacts(connection, {"object.detection": [(0, 1, object_payload("car", 1e-300))]})
    found = connection.execute("select confidence from object_labels").fetchone()
    assert found == (1e-300,)


@pytest.mark.parametrize("name", ["", "Waves", "a b", 'x"; drop table runs; --', "1a"])
def test_a_projection_with_an_invalid_table_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="name of a table or column is invalid"):
        Projection(name=name, artifact_type="x", columns=())


def test_a_projection_that_declares_a_built_in_column_is_refused() -> None:
    column = Column(name="ordinal", type="integer", value="1")
    with pytest.raises(ValueError, match="already has ordinal"):
        Projection(name="x", artifact_type="x", columns=(column,))
