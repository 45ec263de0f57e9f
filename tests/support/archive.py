"""Manifests and artifacts that are ingested without running a pipeline."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import psycopg

from filmgate.core.digest import digest, digest_of, sha256_hex
from filmgate.core.manifest import Manifest, StageEntry
from filmgate.core.payloads.built_in import BUILT_IN
from filmgate.core.payloads.registry import Registry
from filmgate.core.plan import Producer
from filmgate.core.publishing import ManifestLocation
from filmgate.core.records import ArtifactRef, Asset
from filmgate.core.result_store import ArtifactRow, ArtifactRows
from filmgate.core.states import RunState, StageState
from filmgate.core.summaries import SummaryRows
from filmgate.db.result_store import PostgresResults
from filmgate.pipelines.episode.screen_times import SCREENTIME, ScreenTime
from filmgate.pipelines.episode.summary import write_people

LOCAL_ORIGIN = ManifestLocation(source="file:///tests", manifest_key="manifest.json")
"""The origin of a run that was not published."""

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

Rows = Sequence[tuple[int, int, dict[str, Any]]]

SCENE = {"scene_index": 0, "method": "cut", "score": None, "frame_number": 0}
BOX = {"x": 1.0, "y": 2.0, "width": 3.0, "height": 4.0}


def scene_payload(index: int = 0) -> dict[str, Any]:
    return SCENE | {"scene_index": index}


def transcript_payload(
    text: str, language: str | None = "en", confidence: float | None = None
) -> dict[str, Any]:
    return {"text": text, "speaker": None, "confidence": confidence, "language": language}


def ocr_payload(text: str, confidence: float | None = None) -> dict[str, Any]:
    box = [[0, 0], [9, 0], [9, 9]]
    fields: dict[str, Any] = {"bounding_box": box, "language": "en", "frame_number": 0}
    return {"text": text, "confidence": confidence} | fields


def object_payload(label: str, confidence: float | None = 0.5) -> dict[str, Any]:
    return {"label": label, "confidence": confidence, "bounding_box": BOX, "frame_number": 0}


def face_payload(cluster_id: str | None, confidence: float | None = 0.5) -> dict[str, Any]:
    fields = {"confidence": confidence, "bounding_box": BOX, "frame_number": 0}
    return {"cluster_id": cluster_id} | fields


def place_payload(label: str, confidence: float | None = 0.5) -> dict[str, Any]:
    fields: dict[str, Any] = {"confidence": confidence, "alternative_labels": [], "frame_number": 0}
    return {"label": label} | fields


def appearance_payload(cluster_id: str, confidence: float | None = 0.5) -> dict[str, Any]:
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
    """Build the manifest of a run with these artifacts that ended `finished` s after START."""
    at = START + timedelta(seconds=finished)
    run_config = {"look": dict(config or {})}
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
        config=run_config,
        config_hash=digest_of(run_config),
        status=status,
        revision=revision,
        created_at=START,
        updated_at=at,
        stages={"look": entry},
        metrics={},
    )


def ingest_artifacts(
    connection: psycopg.Connection,
    artifacts: Mapping[str, Rows],
    *,
    registry: Registry = BUILT_IN,
    screentime: ScreenTime | None = None,
    **fields: Any,
) -> None:
    """Ingest a run with these artifacts; `fields` as in `manifest_of`."""
    manifest = manifest_of(artifacts, screentime=screentime, **fields)
    entry = manifest.stages["look"]
    assert entry.producer is not None
    assert entry.ended is not None
    files = [
        ArtifactRows("look", ref, ref.key, entry.producer, entry.ended, _rows(artifacts[ref.key]))
        for ref in entry.artifacts
        if manifest.status is RunState.SUCCESS and ref.artifact_type
    ]
    results = PostgresResults(connection, registry)
    summaries = [screentime_rows(manifest, screentime)] if screentime else []
    results.ingest(manifest, sha256_hex(manifest.to_bytes()), LOCAL_ORIGIN, files, summaries)


def screentime_rows(manifest: Manifest, screentime: ScreenTime) -> SummaryRows:
    """Build the summary of a run with this screen time."""
    ref = screentime_ref(screentime)
    write = partial(write_people, manifest=manifest, ref=ref, times=screentime)
    return SummaryRows(files=(ref,), write=write, is_for_products=True)


def screentime_ref(screentime: ScreenTime, version: int = 1) -> ArtifactRef:
    """Build the entry of `screentime.json` in a manifest."""
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
