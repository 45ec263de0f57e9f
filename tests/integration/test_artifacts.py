"""The artifact repository: atomic batches, and ids that are never reused."""

import threading
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from filmgate.core.digest import digest, digest_of
from filmgate.core.envelope import NewArtifact, parse_artifact_id
from filmgate.core.errors import (
    Conflict,
    FilmgateError,
    Invalid,
    NotFound,
    SchemaNotFoundError,
    Unavailable,
)
from filmgate.core.payloads.artifact_type import ArtifactType
from filmgate.core.payloads.built_in import BUILT_IN
from filmgate.core.payloads.payload import Payload
from filmgate.core.selection import Selection
from filmgate.db.artifact_queries import ArtifactQueries
from filmgate.db.artifacts import Artifacts
from filmgate.db.connection import connected
from filmgate.db.selections import Selections
from support.archive import (
    START,
    ingest_artifacts,
    object_payload,
    scene_payload,
    transcript_payload,
)
from support.database import FILM, ON_THE_DATABASE


def new(artifact_type: str = "scene", **changes: Any) -> NewArtifact:
    """An artifact that matches run r1 as `ingest_artifacts` creates it."""
    payloads = {
        "scene": scene_payload(),
        "transcript.segment": transcript_payload("gate"),
        "object.detection": object_payload("car"),
    }
    fields = {
        "asset_id": "film",
        "artifact_type": artifact_type,
        "schema_version": 1,
        "span_start_ms": 10,
        "span_end_ms": 20,
        "payload": payloads.get(artifact_type, {}),
        "producer": "me",
        "producer_version": "1",
        "model_profile": "balanced",
        "config_hash": digest_of({"look": {}}),
        "input_hash": digest(b"x"),
        "run_id": "r1",
        "created_at": START,
    }
    return NewArtifact.model_validate(fields | changes)


@pytest.fixture
def artifacts(connection: psycopg.Connection) -> Artifacts:
    ingest_artifacts(connection, {})
    return Artifacts(connection, BUILT_IN)


kinds = st.sampled_from(["scene", "transcript.segment", "object.detection"])
spans = st.tuples(st.integers(0, 50), st.integers(0, 50)).map(sorted)


@given(batch=st.lists(st.tuples(kinds, spans), max_size=8))
@ON_THE_DATABASE
def test_created_artifacts_are_read_by_id_and_served(
    connection: psycopg.Connection, artifacts: Artifacts, batch: list[tuple[str, list[int]]]
) -> None:
    with connection.transaction(force_rollback=True):
        created = artifacts.batch_create(
            [new(kind, span_start_ms=start, span_end_ms=end) for kind, (start, end) in batch]
        )
        assert [(e.artifact_type, [e.span_start_ms, e.span_end_ms]) for e in created] == batch
        assert len({envelope.artifact_id for envelope in created}) == len(batch)
        for envelope in created:
            assert artifacts.get_by_id(envelope.artifact_id) == envelope
        served = ArtifactQueries(connection).artifacts(FILM).artifacts
        assert {e.artifact_id for e in served} == {e.artifact_id for e in created}
        words = ArtifactQueries(connection).search("gate").hits
        assert bool(words) == any(kind == "transcript.segment" for kind, _ in batch)


BAD = [
    (new(payload={"scene_index": -1}), Invalid, "not a valid scene version 1"),
    (new(schema_version=9), SchemaNotFoundError, "'scene' version 9"),
    (new("hologram"), SchemaNotFoundError, "'hologram'"),
    (new(run_id="nope"), NotFound, "run 'nope' of film is not in the database"),
    (new(asset_id="nope"), NotFound, "run 'r1' of nope is not in the database"),
    (new(config_hash=digest(b"other")), Conflict, "the config_hash of an artifact does not match"),
    (new(model_profile="fast"), Conflict, "the model_profile of an artifact does not match"),
    (new(producer="another"), Conflict, "the producer of an artifact does not match"),
]


@given(
    good=st.lists(kinds, max_size=5),
    bad=st.sampled_from(BAD),
    position=st.integers(0, 5),
)
@ON_THE_DATABASE
def test_a_batch_with_one_bad_artifact_writes_none(
    connection: psycopg.Connection,
    artifacts: Artifacts,
    good: list[str],
    bad: tuple[NewArtifact, type[FilmgateError], str],
    position: int,
) -> None:
    artifact, error, message = bad
    batch = [new("scene"), *(new(kind) for kind in good)]
    batch.insert(1 + position % len(batch), artifact)
    with connection.transaction(force_rollback=True):
        with pytest.raises(error, match=message):
            artifacts.batch_create(batch)
        for table in ("artifact_rows", "artifact_files", "scene_ranges", "served"):
            assert connection.execute(f"select count(*) from {table}").fetchone() == (0,)


def test_the_id_of_a_deleted_artifact_is_not_reused(artifacts: Artifacts) -> None:
    first, last = artifacts.batch_create([new(), new()])
    artifacts.delete(last.artifact_id)
    with pytest.raises(NotFound, match=last.artifact_id):
        artifacts.get_by_id(last.artifact_id)
    with pytest.raises(NotFound):
        artifacts.delete(last.artifact_id)
    again = artifacts.create(new())
    assert [first.artifact_id, again.artifact_id] == ["film:r1:scene:0", "film:r1:scene:2"]


def test_added_artifacts_stay_when_their_run_is_ingested_again(
    connection: psycopg.Connection, artifacts: Artifacts
) -> None:
    added = artifacts.create(new("transcript.segment"))
    ingest_artifacts(connection, {"scene": [(0, 1, scene_payload())]}, revision=2)
    assert artifacts.get_by_id(added.artifact_id) == added
    assert len(ArtifactQueries(connection).find(FILM, "gate").hits) == 1
    made_by_stage = {"transcript.segment": [(0, 1, transcript_payload("x"))]}
    with pytest.raises(Conflict, match=r"transcript\.segment artifacts that a program added"):
        ingest_artifacts(connection, made_by_stage, revision=3)
    assert artifacts.get_by_id(added.artifact_id) == added
    artifacts.delete(added.artifact_id)
    ingest_artifacts(connection, made_by_stage, revision=3)
    with pytest.raises(Conflict, match=r"has a stage that makes transcript\.segment"):
        artifacts.create(new("transcript.segment", producer="model"))


def test_added_texts_are_searched_in_their_language(
    connection: psycopg.Connection, artifacts: Artifacts
) -> None:
    artifacts.create(
        new("transcript.segment", payload=transcript_payload("zwei alte Häuser", "de"))
    )
    assert len(ArtifactQueries(connection).find(FILM, "Haus").hits) == 1
    assert len(ArtifactQueries(connection).search("Haus").hits) == 1


def test_a_created_artifact_is_returned_as_it_is_stored(artifacts: Artifacts) -> None:
    artifacts.create(new())
    later = artifacts.create(new(created_at="2026-11-11T00:00:00Z"))
    assert artifacts.get_by_id(later.artifact_id) == later
    with pytest.raises(ValidationError, match="timezone"):
        new(created_at="2026-11-11T00:00:00")


def test_a_pinned_artifact_is_not_deleted(
    connection: psycopg.Connection, artifacts: Artifacts
) -> None:
    made = artifacts.create(new())
    Selections(connection).select(FILM, "scene", Selection.of(run_id="r1", ordinal=0))
    with pytest.raises(Conflict, match="is pinned"):
        artifacts.delete(made.artifact_id)


def test_concurrent_creates_and_deletes_leave_no_stale_rows(
    database_url: str, connection: psycopg.Connection, artifacts: Artifacts
) -> None:
    first = artifacts.batch_create([new("object.detection") for _ in range(8)])
    deleted: list[str] = []

    def work(number: int) -> None:
        with connected(database_url) as own:
            own_artifacts = Artifacts(own, BUILT_IN)
            own_artifacts.create(
                new("object.detection", span_start_ms=0, span_end_ms=1000 * number)
            )
            try:
                own_artifacts.delete(first[number // 2].artifact_id)
                deleted.append(first[number // 2].artifact_id)
            except NotFound:
                pass

    threads = [threading.Thread(target=work, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(deleted) == sorted(envelope.artifact_id for envelope in first[:4])
    late = artifacts.get_by_span(FILM, 6500, 6501).artifacts
    assert [envelope.span_end_ms for envelope in late] == [7000]
    rows = connection.execute("select count(*) from object_labels").fetchone()
    assert rows == (8 + 8 - 4,)


def test_a_deleted_artifact_is_removed_from_all_derived_tables(
    connection: psycopg.Connection, artifacts: Artifacts
) -> None:
    made = artifacts.create(new("transcript.segment"))
    serving = ArtifactQueries(connection)
    assert len(serving.search("gate").hits) == len(serving.find(FILM, "gate").hits) == 1
    artifacts.delete(made.artifact_id)
    assert serving.search("gate").hits == serving.find(FILM, "gate").hits == ()


def test_a_deleted_run_can_be_ingested_again(
    connection: psycopg.Connection, artifacts: Artifacts
) -> None:
    scenes = {"scene": [(0, 1, scene_payload())]}
    ingest_artifacts(connection, scenes, run="r2", finished=1)
    Selections(connection).select(FILM, "scene", Selection.of(run_id="r2"))
    with pytest.raises(Conflict, match="r2 of film is pinned"):
        artifacts.delete_run("film", "r2")
    Selections(connection).select(FILM, "scene", Selection())
    artifacts.delete_run("film", "r2")
    assert ArtifactQueries(connection).artifacts(FILM).artifacts == ()
    ingest_artifacts(connection, scenes, run="r2", finished=1)
    assert len(ArtifactQueries(connection).artifacts(FILM).artifacts) == 1


def test_two_runs_with_one_id_are_distinguished_by_installation(
    connection: psycopg.Connection, artifacts: Artifacts
) -> None:
    scenes = {"scene": [(0, 1, scene_payload())]}
    for name in ("ours", "theirs"):
        ingest_artifacts(connection, scenes, run="same", installation=name, producer=name)
    with pytest.raises(Conflict, match="exists in several installations") as caught:
        artifacts.get_by_id("film:same:scene:0")
    assert caught.value.got == "ours, theirs"
    assert artifacts.get_by_id("film:same:scene:0", installation="theirs").producer == "theirs"


@pytest.mark.parametrize("text", ["", "a", "a:b:c", "a:b:c:d", "a:b:c:-1", "a::c:1", "a:b:c:1:2"])
def test_an_invalid_artifact_id_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="artifact id is invalid"):
        parse_artifact_id(text)


def test_the_provenance_lists_everything_back_to_the_input(
    connection: psycopg.Connection, artifacts: Artifacts
) -> None:
    ingest_artifacts(
        connection, {"scene": [(0, 1, scene_payload())]}, run="r2", config={"limit": 3}
    )
    answer = artifacts.provenance("film:r2:scene:0")
    assert answer.config == {"limit": 3}
    assert (answer.stage, answer.pipeline, answer.run_status) == ("look", "tests", "completed")
    assert answer.is_served
    assert answer.source_sha_map == {"x": digest(b"x")}
    assert answer.asset_uri == "file:///x"
    assert answer.manifest_sha256 is not None
    assert answer.file_sha256 is not None
    (link,) = answer.chain
    assert (link.stage, link.attempt, link.fingerprint) == ("look", 1, digest(b"look"))
    added = artifacts.provenance(artifacts.create(new()).artifact_id)
    assert (added.stage, added.path, added.chain) == (None, None, ())


def test_versions_of_a_type_coexist_and_old_ones_can_be_converted(
    connection: psycopg.Connection,
) -> None:
    class SceneV2(Payload):
        name: str

    second = ArtifactType(
        name="scene",
        version=2,
        model=SceneV2,
        lift=lambda old: {"name": f"scene {old['scene_index']}"},
    )
    registry = BUILT_IN.with_types([second])
    artifacts = Artifacts(connection, registry)
    ingest_artifacts(
        connection, {"scene": [(0, 1, scene_payload(7))]}, run="old", registry=registry
    )
    ingest_artifacts(
        connection,
        {"scene": [(0, 1, {"name": "x"})]},
        run="new",
        registry=registry,
        schema_versions={"scene": 2},
    )
    old, current = (artifacts.get_by_id(f"film:{run}:scene:0") for run in ("old", "new"))
    assert (old.schema_version, current.schema_version) == (1, 2)
    lifted = artifacts.lifted(old, 2)
    assert (lifted.payload, lifted.schema_version) == ({"name": "scene 7"}, 2)
    assert artifacts.lifted(current, 2) == current


def test_a_failing_session_does_not_affect_others(database_url: str, artifacts: Artifacts) -> None:
    """Twelve concurrent sessions; every third connection is terminated in its transaction."""
    outcomes: dict[int, object] = {}
    broken: list[int] = []

    def work(number: int) -> None:
        try:
            with connected(database_url) as own:
                with own.transaction():
                    created = Artifacts(own, BUILT_IN).batch_create(
                        [new(span_start_ms=number, span_end_ms=99)] * 3
                    )
                    if number % 3 == 0:
                        own.execute("select pg_terminate_backend(pg_backend_pid())")
                outcomes[number] = len(created)
        except Unavailable:
            broken.append(number)

    threads = [threading.Thread(target=work, args=[number]) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == {n: 3 for n in range(12) if n % 3}
    assert sorted(broken) == [0, 3, 6, 9]
    with connected(database_url) as after:
        found = ArtifactQueries(after).artifacts(FILM).artifacts
        assert len({envelope.artifact_id for envelope in found}) == 8 * 3
        assert {envelope.span_start_ms % 3 for envelope in found} == {1, 2}
        idle = after.execute(
            "select count(*) from pg_stat_activity"
            " where datname = current_database() and state like 'idle in transaction%'"
        ).fetchone()
        assert idle == (0,)
