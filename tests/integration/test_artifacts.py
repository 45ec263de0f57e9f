"""The repository: all of a batch or nothing, by ids that mean one thing for good."""

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
from filmgate.db.artifacts import Artifacts
from filmgate.db.connection import connected
from filmgate.db.selections import Selections
from filmgate.db.serving import Serving
from support.archive import START, said, scene, seen, take_in
from support.database import FILM, ON_THE_DATABASE


def new(kind: str = "scene", **changed: Any) -> NewArtifact:
    """An artifact that fits run r1 as `take_in` makes it."""
    payload = {
        "scene": scene(),
        "transcript.segment": said("gate"),
        "object.detection": seen("car"),
    }
    fields = {
        "asset_id": "film",
        "artifact_type": kind,
        "schema_version": 1,
        "span_start_ms": 10,
        "span_end_ms": 20,
        "payload": payload.get(kind, {}),
        "producer": "me",
        "producer_version": "1",
        "model_profile": "balanced",
        "config_hash": digest_of({"look": {}}),
        "input_hash": digest(b"x"),
        "run_id": "r1",
        "created_at": START,
    }
    return NewArtifact.model_validate(fields | changed)


@pytest.fixture
def artifacts(connection: psycopg.Connection) -> Artifacts:
    take_in(connection, {})
    return Artifacts(connection, BUILT_IN)


kinds = st.sampled_from(["scene", "transcript.segment", "object.detection"])
spans = st.tuples(st.integers(0, 50), st.integers(0, 50)).map(sorted)


@given(batch=st.lists(st.tuples(kinds, spans), max_size=8))
@ON_THE_DATABASE
def test_what_is_created_is_fetched_by_its_id_and_served(
    connection: psycopg.Connection, artifacts: Artifacts, batch: list[tuple[str, list[int]]]
) -> None:
    with connection.transaction(force_rollback=True):
        made = artifacts.batch_create(
            [new(kind, span_start_ms=start, span_end_ms=end) for kind, (start, end) in batch]
        )
        assert [(e.artifact_type, [e.span_start_ms, e.span_end_ms]) for e in made] == batch
        assert len({each.artifact_id for each in made}) == len(batch)
        for each in made:
            assert artifacts.get_by_id(each.artifact_id) == each
        served = Serving(connection).artifacts(FILM).artifacts
        assert {e.artifact_id for e in served} == {e.artifact_id for e in made}
        words = Serving(connection).search("gate").hits
        assert bool(words) == any(kind == "transcript.segment" for kind, _ in batch)


BAD = [
    (new(payload={"scene_index": -1}), Invalid, "no scene version 1"),
    (new(schema_version=9), SchemaNotFoundError, "'scene' version 9"),
    (new("hologram"), SchemaNotFoundError, "'hologram'"),
    (new(run_id="nope"), NotFound, "no run 'nope'"),
    (new(asset_id="nope"), NotFound, "no run 'r1' of nope"),
    (new(config_hash=digest(b"other")), Conflict, "another config_hash"),
    (new(model_profile="fast"), Conflict, "another model_profile"),
    (new(producer="another"), Conflict, "another producer"),
]


@given(
    good=st.lists(kinds, max_size=5),
    bad=st.sampled_from(BAD),
    where=st.integers(0, 5),
)
@ON_THE_DATABASE
def test_a_batch_with_one_bad_artifact_writes_none(
    connection: psycopg.Connection,
    artifacts: Artifacts,
    good: list[str],
    bad: tuple[NewArtifact, type[FilmgateError], str],
    where: int,
) -> None:
    artifact, error, told = bad
    batch = [new("scene"), *(new(kind) for kind in good)]
    batch.insert(1 + where % len(batch), artifact)
    with connection.transaction(force_rollback=True):
        with pytest.raises(error, match=told):
            artifacts.batch_create(batch)
        for table in ("artifact_rows", "artifact_files", "scene_ranges", "served"):
            assert connection.execute(f"select count(*) from {table}").fetchone() == (0,)


def test_an_id_is_never_given_twice(artifacts: Artifacts) -> None:
    first, last = artifacts.batch_create([new(), new()])
    artifacts.delete(last.artifact_id)
    with pytest.raises(NotFound, match=last.artifact_id):
        artifacts.get_by_id(last.artifact_id)
    with pytest.raises(NotFound):
        artifacts.delete(last.artifact_id)
    again = artifacts.create(new())
    assert [first.artifact_id, again.artifact_id] == ["film:r1:scene:0", "film:r1:scene:2"]


def test_what_a_program_added_stays_when_its_run_is_taken_in_again(
    connection: psycopg.Connection, artifacts: Artifacts
) -> None:
    made = artifacts.create(new("transcript.segment"))
    take_in(connection, {"scene": [(0, 1, scene())]}, revision=2)
    assert artifacts.get_by_id(made.artifact_id) == made
    assert len(Serving(connection).find(FILM, "gate").hits) == 1
    its_own = {"transcript.segment": [(0, 1, said("x"))]}
    with pytest.raises(Conflict, match=r"a program added transcript\.segment"):
        take_in(connection, its_own, revision=3)
    assert artifacts.get_by_id(made.artifact_id) == made
    artifacts.delete(made.artifact_id)
    take_in(connection, its_own, revision=3)
    with pytest.raises(Conflict, match=r"makes its transcript\.segment artifacts itself"):
        artifacts.create(new("transcript.segment", producer="model"))


def test_texts_that_a_program_added_are_searched_in_their_language(
    connection: psycopg.Connection, artifacts: Artifacts
) -> None:
    artifacts.create(new("transcript.segment", payload=said("zwei alte Häuser", "de")))
    assert len(Serving(connection).find(FILM, "Haus").hits) == 1
    assert len(Serving(connection).search("Haus").hits) == 1


def test_what_is_returned_is_what_is_stored(artifacts: Artifacts) -> None:
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


def test_many_that_create_and_delete_at_once_leave_nothing_stale(
    database_url: str, connection: psycopg.Connection, artifacts: Artifacts
) -> None:
    first = artifacts.batch_create([new("object.detection") for _ in range(8)])
    gone: list[str] = []

    def work(number: int) -> None:
        with connected(database_url) as own:
            mine = Artifacts(own, BUILT_IN)
            mine.create(new("object.detection", span_start_ms=0, span_end_ms=1000 * number))
            try:
                mine.delete(first[number // 2].artifact_id)
                gone.append(first[number // 2].artifact_id)
            except NotFound:
                pass

    threads = [threading.Thread(target=work, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(gone) == sorted(each.artifact_id for each in first[:4]), "each of them once"
    late = artifacts.get_by_span(FILM, 6500, 6501).artifacts
    assert [each.span_end_ms for each in late] == [7000]
    rows = connection.execute("select count(*) from object_labels").fetchone()
    assert rows == (8 + 8 - 4,)


def test_what_is_deleted_is_gone_from_everything_derived(
    connection: psycopg.Connection, artifacts: Artifacts
) -> None:
    made = artifacts.create(new("transcript.segment"))
    serving = Serving(connection)
    assert len(serving.search("gate").hits) == len(serving.find(FILM, "gate").hits) == 1
    artifacts.delete(made.artifact_id)
    assert serving.search("gate").hits == serving.find(FILM, "gate").hits == ()


def test_a_deleted_run_can_be_taken_in_again(
    connection: psycopg.Connection, artifacts: Artifacts
) -> None:
    things = {"scene": [(0, 1, scene())]}
    take_in(connection, things, run="r2", finished=1)
    Selections(connection).select(FILM, "scene", Selection.of(run_id="r2"))
    with pytest.raises(Conflict, match="r2 of film is pinned"):
        artifacts.delete_run("film", "r2")
    Selections(connection).select(FILM, "scene", Selection())
    artifacts.delete_run("film", "r2")
    assert Serving(connection).artifacts(FILM).artifacts == ()
    take_in(connection, things, run="r2", finished=1)
    assert len(Serving(connection).artifacts(FILM).artifacts) == 1


def test_two_runs_with_one_id_are_told_apart_by_installation(
    connection: psycopg.Connection, artifacts: Artifacts
) -> None:
    things = {"scene": [(0, 1, scene())]}
    for whose in ("ours", "theirs"):
        take_in(connection, things, run="same", installation=whose, producer=whose)
    with pytest.raises(Conflict, match="more than once") as caught:
        artifacts.get_by_id("film:same:scene:0")
    assert caught.value.got == "ours, theirs"
    assert artifacts.get_by_id("film:same:scene:0", installation="theirs").producer == "theirs"


@pytest.mark.parametrize("text", ["", "a", "a:b:c", "a:b:c:d", "a:b:c:-1", "a::c:1", "a:b:c:1:2"])
def test_an_id_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="no artifact id"):
        parse_artifact_id(text)


def test_the_provenance_names_everything_back_to_the_input(
    connection: psycopg.Connection, artifacts: Artifacts
) -> None:
    take_in(connection, {"scene": [(0, 1, scene())]}, run="r2", config={"limit": 3})
    told = artifacts.provenance("film:r2:scene:0")
    assert told.config == {"limit": 3}
    assert (told.stage, told.pipeline, told.run_status) == ("look", "tests", "completed")
    assert told.is_served
    assert told.source_sha_map == {"x": digest(b"x")}
    assert told.asset_uri == "file:///x"
    assert told.manifest_sha256 is not None
    assert told.file_sha256 is not None
    (link,) = told.chain
    assert (link.stage, link.attempt, link.fingerprint) == ("look", 1, digest(b"look"))
    loose = artifacts.provenance(artifacts.create(new()).artifact_id)
    assert (loose.stage, loose.path, loose.chain) == (None, None, ())


def test_versions_of_a_type_live_side_by_side_and_old_ones_are_lifted(
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
    take_in(connection, {"scene": [(0, 1, scene(7))]}, run="old", registry=registry)
    take_in(
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


def test_a_session_that_fails_touches_no_other(database_url: str, artifacts: Artifacts) -> None:
    """Many at once, each with a session of its own; every third is cut off in the middle."""
    outcomes: dict[int, object] = {}
    broken: list[int] = []

    def work(number: int) -> None:
        try:
            with connected(database_url) as own:
                mine = Artifacts(own, BUILT_IN)
                with own.transaction():
                    made = mine.batch_create([new(span_start_ms=number, span_end_ms=99)] * 3)
                    if number % 3 == 0:
                        own.execute("select pg_terminate_backend(pg_backend_pid())")
                outcomes[number] = len(made)
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
        found = Serving(after).artifacts(FILM).artifacts
        assert len({each.artifact_id for each in found}) == 8 * 3
        assert {each.span_start_ms % 3 for each in found} == {1, 2}
        idle = after.execute(
            "select count(*) from pg_stat_activity"
            " where datname = current_database() and state like 'idle in transaction%'"
        ).fetchone()
        assert idle == (0,)
