"""Runs in a store, as published by another installation."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from filmgate.core.digest import digest, digest_of, sha256_hex
from filmgate.core.envelope import ArtifactLine
from filmgate.core.manifest import Manifest, StageEntry
from filmgate.core.objects import ObjectStore
from filmgate.core.plan import Producer
from filmgate.core.publishing import MANIFEST, run_prefix
from filmgate.core.records import ArtifactRef, Asset
from filmgate.core.states import RunState, StageState
from filmgate.pipelines.episode.screen_times import SCREENTIME, PersonTime, ScreenTime
from support.archive import START, scene_payload

Files = Mapping[str, bytes]
HASH = "a" * 64


def person_time(identity: str, *, face: int = 700, body: int = 200, **fields: Any) -> PersonTime:
    """Make the screen time of a person, in milliseconds; speech is not measured."""
    defaults: dict[str, Any] = {
        "identity_id": identity,
        "vector_sha256": HASH,
        "person_id": None,
        "name": None,
        "unsure": (),
        "onscreen_ms": face + body + 100,
        "face_visible_ms": face,
        "body_only_ms": body,
        "gap_bridged_ms": 100,
        "speaking_ms": None,
        "confessional_ms": 0,
        "first_ms": 0,
        "last_ms": 5000,
        "appearances": 2,
        "share": 0.1,
        "is_singleton": False,
    }
    return PersonTime(**defaults | fields)


def screen_time(*people: PersonTime) -> ScreenTime:
    """Make the screen time of people in a video of ten seconds."""
    return ScreenTime(
        people=people,
        duration_ms=10_000,
        speaking_by=None,
        unidentified_face_ms=0,
        thresholds_hash="sha256:0",
    )


def run_files(people: int = 2, scenes: int = 3) -> dict[str, bytes]:
    """Make the files of a run: scenes, screen time and notes."""
    lines = (
        ArtifactLine(
            ordinal=n, span_start_ms=n * 1000, span_end_ms=n * 1000 + 1000, payload=scene_payload(n)
        ).to_bytes()
        for n in range(scenes)
    )
    times = screen_time(*(person_time(f"c{n}", face=700 + n) for n in range(people)))
    return {
        "scenes.jsonl": b"".join(lines),
        "screentime.json": times.model_dump_json().encode(),
        "notes.json": b"{}",
    }


def manifest_for(
    files: Files,
    *,
    asset: str = "film",
    run: str = "r1",
    producer: str = "studio",
    profile: str = "balanced",
    revision: int = 3,
    finished: int = 0,
    status: RunState = RunState.SUCCESS,
    screentime_version: int = 1,
) -> Manifest:
    """Make the manifest of these files."""
    at = START + timedelta(seconds=finished)
    schemas = {
        "scenes.jsonl": ("scene", 1, "scene"),
        "screentime.json": (SCREENTIME, screentime_version, None),
    }
    entries = {}
    for path, data in files.items():
        schema, version, artifact_type = schemas.get(path, ("test.notes", 1, None))
        ref = ArtifactRef(
            key=path.rpartition(".")[0],
            path=path,
            sha256=sha256_hex(data),
            size_bytes=len(data),
            media_type="application/octet-stream",
            schema_name=schema,
            schema_version=version,
            records=data.count(b"\n") if artifact_type else 1,
            artifact_type=artifact_type,
        )
        entries[f"make_{ref.key}"] = StageEntry(
            status=StageState.SUCCESS if status is RunState.SUCCESS else StageState.FAILED,
            attempt=1,
            ended=at,
            fingerprint=digest(data),
            record_sha256=sha256_hex(data),
            artifacts=(ref,),
            producer=Producer(name="model", version="1"),
            is_derived=False,
            derived_from="commits/x.a1.json",
        )
    return Manifest(
        producer=producer,
        pipeline="episode",
        asset=Asset(id=asset, input_hash=digest(b"x"), uri="file:///x", size_bytes=1, media={}),
        source_sha_map={"x": digest(b"x")},
        run_id=run,
        env="test",
        profile=profile,
        config={},
        config_hash=digest_of({}),
        status=status,
        revision=revision,
        created_at=START,
        updated_at=at,
        stages=entries,
        metrics={},
    )


def put_run(
    store: ObjectStore,
    files: Files | None = None,
    *,
    leave_out: str = "",
    replaced: Files | None = None,
    manifest_bytes: bytes | None = None,
    prefix: str | None = None,
    **manifest_fields: Any,
) -> str:
    """Put a run into a store, its manifest last; return the key of the manifest.

    `leave_out` is the path of a file that is not put into the store. `replaced` are files with
    other bytes than in the manifest.
    """
    files = files or run_files()
    manifest = manifest_for(files, **manifest_fields)
    folder = prefix or run_prefix(manifest.asset.id, manifest.run_id)
    for path, data in {**files, **(replaced or {})}.items():
        if path != leave_out:
            assert store.create(f"{folder}/{path}", data)
    key = f"{folder}/{MANIFEST}"
    assert store.create(key, manifest.to_bytes() if manifest_bytes is None else manifest_bytes)
    return key
