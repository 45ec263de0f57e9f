"""What holds for whatever is taken in: whole envelopes, types apart, versions side by side."""

from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from filmgate.core.digest import digest, digest_of
from filmgate.core.envelope import Envelope, NewArtifact
from filmgate.core.errors import Conflict, SchemaNotFoundError
from filmgate.core.manifest import Manifest
from filmgate.core.payloads.artifact_type import ArtifactType
from filmgate.core.payloads.built_in import BUILT_IN
from filmgate.core.payloads.payload import Payload
from filmgate.core.records import Asset, RunHead
from filmgate.core.states import RunState
from filmgate.db.artifacts import Artifacts
from filmgate.db.result_store import PostgresResults
from filmgate.db.serving import Serving
from support.archive import (
    START,
    face,
    manifest_of,
    on_screen,
    place,
    said,
    scene,
    seen,
    shown,
    take_in,
)
from support.database import FILM, ON_THE_DATABASE

texts = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12
)
sure = st.none() | st.floats(0, 1, width=16)
body = {"confidence": 0.5, "bounding_box": {"x": 0, "y": 0, "width": 1, "height": 1}}
PAYLOADS = {
    "face.detection": st.builds(face, st.none() | texts, sure),
    "object.detection": st.builds(seen, texts, sure),
    "ocr.text": st.builds(shown, texts, sure),
    "person.detection": st.just(body | {"track_id": None, "frame_number": 3}),
    "place.classification": st.builds(place, texts, sure),
    "scene": st.integers(0, 99).map(scene),
    "screentime.segment": st.builds(on_screen, texts, sure),
    "track": st.builds(
        lambda name: {
            "track_id": name,
            "subject": "face",
            "cluster_id": None,
            "first_frame": 0,
            "last_frame": 9,
            "detections": 3,
            "confidence": None,
        },
        texts,
    ),
    "transcript.segment": st.builds(said, texts, st.sampled_from(["en", "de", "xx", None]), sure),
}
spans = st.tuples(st.integers(0, 99), st.integers(0, 9)).map(lambda s: (s[0], s[0] + s[1]))


def test_every_type_that_ships_is_among_those_that_are_tried() -> None:
    assert sorted(PAYLOADS) == sorted({name for name, _ in BUILT_IN.types()})


@given(
    things=st.dictionaries(st.sampled_from(sorted(PAYLOADS)), st.integers(0, 3), max_size=4),
    data=st.data(),
)
@ON_THE_DATABASE
def test_what_is_stored_of_each_type_comes_back_as_it_was_in_whole_envelopes(
    connection: psycopg.Connection, serving: Serving, things: dict[str, int], data: st.DataObject
) -> None:
    stored = {
        name: sorted(
            ((*data.draw(spans), data.draw(PAYLOADS[name])) for _ in range(count)),
            key=lambda row: row[:2],
        )
        for name, count in things.items()
    }
    with connection.transaction(force_rollback=True):
        take_in(connection, stored)
        for name, rows in stored.items():
            page = serving.artifacts(FILM, artifact_types=[name])
            found = [(a.span_start_ms, a.span_end_ms, a.payload) for a in page.artifacts]
            assert found == rows
            for artifact in page.artifacts:
                told = artifact.model_dump()
                assert Envelope.model_validate(told) == artifact
                assert not [key for key, value in told.items() if value in (None, "")]
        whole = connection.execute(
            f"select {', '.join(Envelope.model_fields)} from artifacts"
        ).fetchall()
        assert len(whole) == sum(map(len, stored.values()))
        assert not [row for row in whole if any(value in (None, "") for value in row)]


class SceneV2(Payload):
    name: str


TWO = BUILT_IN.with_types(
    [
        ArtifactType(
            name="scene",
            version=2,
            model=SceneV2,
            lift=lambda old: {"name": f"scene {old['scene_index']}"},
        )
    ]
)


@given(versions=st.lists(st.sampled_from([1, 2]), min_size=1, max_size=4))
@ON_THE_DATABASE
def test_versions_of_a_type_stand_side_by_side_and_each_is_read_as_it_was_written(
    connection: psycopg.Connection, versions: list[int]
) -> None:
    artifacts = Artifacts(connection, TWO)
    with connection.transaction(force_rollback=True):
        for number, version in enumerate(versions):
            payload = scene(number) if version == 1 else {"name": f"scene {number}"}
            take_in(
                connection,
                {"scene": [(0, 1, payload)]},
                run=f"r{number}",
                registry=TWO,
                schema_versions={"scene": version},
            )
        for number, version in enumerate(versions):
            found = artifacts.get_by_id(f"film:r{number}:scene:0")
            assert found.schema_version == version
            TWO.model("scene", version).model_validate(found.payload)
            assert artifacts.lifted(found, 2).payload == {"name": f"scene {number}"}


@given(
    registered=st.sets(st.tuples(st.sampled_from(["a", "b.c", "d"]), st.integers(1, 3))),
    asked=st.tuples(st.sampled_from(["a", "b.c", "d"]), st.integers(1, 3)),
)
@ON_THE_DATABASE
def test_only_what_is_registered_under_its_type_and_version_is_taken_in(
    connection: psycopg.Connection, registered: set[tuple[str, int]], asked: tuple[str, int]
) -> None:
    registry = BUILT_IN.with_types(
        ArtifactType(name=name, version=version, model=SceneV2) for name, version in registered
    )
    artifact = NewArtifact(
        asset_id="film",
        artifact_type=asked[0],
        schema_version=asked[1],
        span_start_ms=0,
        span_end_ms=1,
        payload={"name": "x"},
        producer="me",
        producer_version="1",
        model_profile="balanced",
        config_hash=digest_of({"look": {}}),
        input_hash=digest(b"x"),
        run_id="r1",
        created_at=START,
    )
    with connection.transaction(force_rollback=True):
        take_in(connection, {})
        artifacts = Artifacts(connection, registry)
        if asked in registered:
            made = artifacts.create(artifact)
            assert artifacts.get_by_id(made.artifact_id) == made
        else:
            with pytest.raises(SchemaNotFoundError, match=rf"'{asked[0]}' version {asked[1]}"):
                artifacts.create(artifact)


ENDS = {
    RunState.SUCCESS: "completed",
    RunState.FAILED: "failed",
    RunState.INCOMPLETE: "incomplete",
}
steps = st.one_of(
    st.just(("begin", None)),
    st.tuples(st.just("end"), st.sampled_from(list(ENDS))),
    st.tuples(st.just("ingest"), st.sampled_from(list(ENDS))),
    st.just(("replay", None)),
)


@given(walk=st.lists(steps, min_size=1, max_size=8))
@ON_THE_DATABASE
def test_a_run_goes_through_its_life_and_is_served_only_when_it_is_complete(
    connection: psycopg.Connection, serving: Serving, walk: list[tuple[str, RunState | None]]
) -> None:
    """A completed run stays so until another revision of it is taken in."""
    results = PostgresResults(connection, BUILT_IN)
    status: str | None = None
    revision, last = 0, None
    with connection.transaction(force_rollback=True):
        for step, state in walk:
            if step == "begin":
                results.begin(head_of(manifest_of({})))
                status = "completed" if status == "completed" else "running"
            elif step == "end":
                assert state is not None
                results.end(manifest_of({}, status=state))
                if status == "running":
                    status = "incomplete" if state is RunState.SUCCESS else ENDS[state]
            elif step == "ingest":
                assert state is not None
                revision, last = revision + 1, state
                things = {"scene": [(0, 1, scene())]}
                take_in(connection, things, status=state, revision=revision)
                status = ENDS[state]
            elif last is not None:
                things = {"scene": [(0, 1, scene())]}
                take_in(connection, things, status=last, revision=revision)
                status = ENDS[last] if status == "running" else status
            row = connection.execute("select status, finished_at is null from runs").fetchone()
            if row is None:
                assert status is None
                continue
            assert row == (status, status == "running")
            served = serving.artifacts(FILM).artifacts
            assert len(served) == (status == "completed")
        if revision > 1:
            with pytest.raises(Conflict, match="other bytes"):
                take_in(connection, {}, revision=revision - 1)


def head_of(manifest: Manifest) -> RunHead:
    """The head of the run of that manifest."""
    told: dict[str, Any] = {
        name: getattr(manifest, name)
        for name in ("producer", "pipeline", "source_sha_map", "run_id", "env", "profile")
    }
    return RunHead(
        stages=("look",),
        stands_on={"look": ()},
        makes={"look": ()},
        asset=Asset.model_validate(manifest.asset.model_dump()),
        config=manifest.config,
        config_hash=manifest.config_hash,
        created_at=manifest.created_at,
        **told,
    )
