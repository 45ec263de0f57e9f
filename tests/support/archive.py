"""Runs that are taken in without having been run: any that hypothesis can think of."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from filmgate.core.digest import digest, digest_of, sha256_hex
from filmgate.core.manifest import Manifest, StageEntry
from filmgate.core.payloads.built_in import BUILT_IN
from filmgate.core.payloads.registry import Registry
from filmgate.core.plan import Producer
from filmgate.core.publishing import Origin
from filmgate.core.records import ArtifactRef, Asset
from filmgate.core.result_store import ArtifactRow, ArtifactRows
from filmgate.core.screentime import SCREENTIME, ScreenTime
from filmgate.core.states import RunState, StageState
from filmgate.db.result_store import PostgresResults

HERE = Origin(source="file:///tests", manifest_key="manifest.json")
"""Where a run that was not published is taken in from."""

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

Rows = Sequence[tuple[int, int, dict[str, Any]]]

SCENE = {"scene_index": 0, "method": "cut", "score": None, "frame_number": 0}
BOX = {"x": 1.0, "y": 2.0, "width": 3.0, "height": 4.0}


def scene(index: int = 0) -> dict[str, Any]:
    return SCENE | {"scene_index": index}


def said(text: str, language: str | None = "en", confidence: float | None = None) -> dict[str, Any]:
    return {"text": text, "speaker": None, "confidence": confidence, "language": language}


def shown(text: str, confidence: float | None = None) -> dict[str, Any]:
    box = [[0, 0], [9, 0], [9, 9]]
    told: dict[str, Any] = {"bounding_box": box, "language": "en", "frame_number": 0}
    return {"text": text, "confidence": confidence} | told


def seen(label: str, confidence: float | None = 0.5) -> dict[str, Any]:
    return {"label": label, "confidence": confidence, "bounding_box": BOX, "frame_number": 0}


def face(cluster_id: str | None, confidence: float | None = 0.5) -> dict[str, Any]:
    told = {"confidence": confidence, "bounding_box": BOX, "frame_number": 0}
    return {"cluster_id": cluster_id} | told


def place(label: str, confidence: float | None = 0.5) -> dict[str, Any]:
    told: dict[str, Any] = {"confidence": confidence, "alternative_labels": [], "frame_number": 0}
    return {"label": label} | told


def on_screen(cluster_id: str, confidence: float | None = 0.5) -> dict[str, Any]:
    return {"cluster_id": cluster_id, "evidence": "face", "confidence": confidence}


def manifest_of(
    artifacts: Mapping[str, Rows],
    *,
    asset: str = "film",
    run: str = "r1",
    profile: str = "balanced",
    status: RunState = RunState.SUCCESS,
    finished: int = 0,
    installation: str = "tests",
    producer: str = "model",
    version: str = "1",
    config: Mapping[str, Any] | None = None,
    revision: int = 1,
    schema_versions: Mapping[str, int] | None = None,
    screentime: ScreenTime | None = None,
) -> Manifest:
    """Of a run with these artifacts, which ended `finished` seconds after the first moment."""
    at = START + timedelta(seconds=finished)
    chosen = {"look": dict(config or {})}
    entry = StageEntry(
        status=StageState.SUCCESS if status is RunState.SUCCESS else StageState.FAILED,
        attempt=1,
        ended=at,
        fingerprint=digest(b"look"),
        record_sha256=sha256_hex(run.encode()),
        artifacts=(
            *(
                _ref(name, rows, (schema_versions or {}).get(name, 1))
                for name, rows in artifacts.items()
            ),
            *([screentime_ref(screentime)] if screentime else []),
        ),
        producer=Producer(name=producer, version=version),
        is_derived=False,
        derived_from="commits/look.a1.json",
    )
    return Manifest(
        producer=installation,
        pipeline="tests",
        asset=Asset(id=asset, input_hash=digest(b"x"), uri="file:///x", size_bytes=1, media={}),
        source_sha_map={"x": digest(b"x")},
        run_id=run,
        env="test",
        profile=profile,
        config=chosen,
        config_hash=digest_of(chosen),
        status=status,
        revision=revision,
        created_at=START,
        updated_at=at,
        stages={"look": entry},
        metrics={},
    )


def take_in(
    connection: psycopg.Connection,
    artifacts: Mapping[str, Rows],
    *,
    registry: Registry = BUILT_IN,
    screentime: ScreenTime | None = None,
    **told: Any,
) -> None:
    """A run with these artifacts, as `manifest_of` tells of it."""
    manifest = manifest_of(artifacts, screentime=screentime, **told)
    entry = manifest.stages["look"]
    assert entry.producer is not None
    assert entry.ended is not None
    files = [
        ArtifactRows("look", ref, ref.key, entry.producer, entry.ended, _rows(artifacts[ref.key]))
        for ref in entry.artifacts
        if manifest.status is RunState.SUCCESS and ref.artifact_type
    ]
    results = PostgresResults(connection, registry)
    results.ingest(manifest, sha256_hex(manifest.to_bytes()), HERE, files, screentime)


def screentime_ref(screentime: ScreenTime, version: int = 1) -> ArtifactRef:
    """What a manifest says of `screentime.json`."""
    data = screentime.model_dump_json().encode()
    return ArtifactRef(
        key="screentime",
        path="screentime.json",
        sha256=sha256_hex(data),
        size_bytes=len(data),
        media_type="application/json",
        schema_name=SCREENTIME,
        schema_version=version,
        records=1,
        artifact_type=None,
    )


def _ref(name: str, rows: Rows, version: int) -> ArtifactRef:
    return ArtifactRef(
        key=name,
        path=f"{name}.jsonl",
        sha256=sha256_hex(repr(rows).encode()),
        size_bytes=1,
        media_type="application/x-ndjson",
        schema_name=name,
        schema_version=version,
        records=len(rows),
        artifact_type=name,
    )


def _rows(rows: Rows) -> Iterable[ArtifactRow]:
    ordered = sorted(rows, key=lambda row: row[:2])
    for ordinal, (start, end, payload) in enumerate(ordered):
        text = json.dumps(payload, ensure_ascii=False).encode()
        yield ArtifactRow(ordinal, start, end, text)
