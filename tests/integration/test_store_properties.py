"""Properties of ingested artifacts: complete envelopes, separate types, coexisting versions."""

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
from filmgate.db.artifact_queries import ArtifactQueries
from filmgate.db.artifacts import Artifacts
from filmgate.db.result_store import PostgresResults
from support.archive import (
    START,
    appearance_payload,
    face_payload,
    ingest_artifacts,
    manifest_of,
    object_payload,
    ocr_payload,
    place_payload,
    scene_payload,
    transcript_payload,
)
from support.database import FILM, ON_THE_DATABASE

texts = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12
)
confidences = st.none() | st.floats(0, 1, width=16)
body = {"confidence": 0.5, "bounding_box": {"x": 0, "y": 0, "width": 1, "height": 1}}
PAYLOADS = {
    "face.detection": st.builds(face_payload, st.none() | texts, confidences),
    "object.detection": st.builds(object_payload, texts, confidences),
    "ocr.text": st.builds(ocr_payload, texts, confidences),
    "person.detection": st.just(body | {"track_id": None, "frame_number": 3}),
    "place.classification": st.builds(place_payload, texts, confidences),
    "scene": st.integers(0, 99).map(scene_payload),
    "screentime.segment": st.builds(appearance_payload, texts, confidences),
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
    "transcript.segment": st.builds(
        transcript_payload, texts, st.sampled_from(["en", "de", "xx", None]), confidences
    ),
}
spans = st.tuples(st.integers(0, 99), st.integers(0, 9)).map(lambda s: (s[0], s[0] + s[1]))


def test_every_built_in_type_is_tested() -> None:
    assert sorted(PAYLOADS) == sorted({name for name, _ in BUILT_IN.types()})


@given(
    counts=st.dictionaries(st.sampled_from(sorted(PAYLOADS)), st.integers(0, 3), max_size=4),
    data=st.data(),
)
@ON_THE_DATABASE
def test_stored_artifacts_of_each_type_are_read_back_in_complete_envelopes(
    connection: psycopg.Connection,
    serving: ArtifactQueries,
    counts: dict[str, int],
    data: st.DataObject,
) -> None:
    stored = {
        name: sorted(
            ((*data.draw(spans), data.draw(PAYLOADS[name])) for _ in range(count)),
            key=lambda row: row[:2],
        )
        for name, count in counts.items()
    }
    with connection.transaction(force_rollback=True):
        ingest_artifacts(connection, stored)
        for name, rows in stored.items():
            page = serving.artifacts(FILM, artifact_types=[name])
            found = [(a.span_start_ms, a.span_end_ms, a.payload) for a in page.artifacts]
            assert found == rows
            for artifact in page.artifacts:
                fields = artifact.model_dump()
                assert Envelope.model_validate(fields) == artifact
                assert not [key for key, value in fields.items() if value in (None, "")]
        all_rows = connection.execute(
            f"select {', '.join(Envelope.model_fields)} from artifacts"
        ).fetchall()
        assert len(all_rows) == sum(map(len, stored.values()))
        assert not [row for row in all_rows if any(value in (None, "") for value in row)]


class SceneV2(Payload):
    name: str


WITH_SCENE_V2 = BUILT_IN.with_types(
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
def test_versions_of_a_type_coexist_and_each_is_read_as_it_was_written(
    connection: psycopg.Connection, versions: list[int]
) -> None:
    artifacts = Artifacts(connection, WITH_SCENE_V2)
    with connection.transaction(force_rollback=True):
        for number, version in enumerate(versions):
            payload = scene_payload(number) if version == 1 else {"name": f"scene {number}"}
            ingest_artifacts(
                connection,
                {"scene": [(0, 1, payload)]},
                run=f"r{number}",
                registry=WITH_SCENE_V2,
                schema_versions={"scene": version},
            )
        for number, version in enumerate(versions):
            found = artifacts.get_by_id(f"film:r{number}:scene:0")
            assert found.schema_version == version
            WITH_SCENE_V2.model("scene", version).model_validate(found.payload)
            assert artifacts.lifted(found, 2).payload == {"name": f"scene {number}"}


@given(
    registered=st.sets(st.tuples(st.sampled_from(["a", "b.c", "d"]), st.integers(1, 3))),
    requested=st.tuples(st.sampled_from(["a", "b.c", "d"]), st.integers(1, 3)),
)
@ON_THE_DATABASE
def test_only_artifacts_of_a_registered_type_and_version_are_stored(
    connection: psycopg.Connection, registered: set[tuple[str, int]], requested: tuple[str, int]
) -> None:
    registry = BUILT_IN.with_types(
        ArtifactType(name=name, version=version, model=SceneV2) for name, version in registered
    )
    artifact = NewArtifact(
        asset_id="film",
        artifact_type=requested[0],
        schema_version=requested[1],
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
        ingest_artifacts(connection, {})
        artifacts = Artifacts(connection, registry)
        if requested in registered:
            created = artifacts.create(artifact)
            assert artifacts.get_by_id(created.artifact_id) == created
        else:
            with pytest.raises(
                SchemaNotFoundError, match=rf"'{requested[0]}' version {requested[1]}"
            ):
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
def test_a_run_changes_its_status_and_is_served_only_while_it_is_completed(
    connection: psycopg.Connection,
    serving: ArtifactQueries,
    walk: list[tuple[str, RunState | None]],
) -> None:
    """A completed run stays completed until another revision of it is ingested."""
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
                artifacts = {"scene": [(0, 1, scene_payload())]}
                ingest_artifacts(connection, artifacts, status=state, revision=revision)
                status = ENDS[state]
            elif last is not None:
                artifacts = {"scene": [(0, 1, scene_payload())]}
                ingest_artifacts(connection, artifacts, status=last, revision=revision)
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
                ingest_artifacts(connection, {}, revision=revision - 1)


def head_of(manifest: Manifest) -> RunHead:
    """The head of the run that a manifest describes."""
    copied: dict[str, Any] = {
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
        **copied,
    )
