"""Segments: screen time as a table, a row for each stretch, for whoever computes with it."""

import json
from typing import Any

from filmgate.core.payloads.tracks import ScreentimeSegmentV1
from filmgate.core.plan import Done, Outcome, Producer, Settings, stage
from filmgate.core.ports import Bench
from filmgate.core.screentime import ScreenTime
from filmgate.pipelines.episode.files import APPEARANCES, SCREENTIME, SEGMENTS
from filmgate.pipelines.episode.stages.body_tracking import body_tracking
from filmgate.pipelines.episode.stages.cluster import cluster
from filmgate.pipelines.episode.stages.detect import detect
from filmgate.pipelines.episode.stages.faces import faces
from filmgate.pipelines.episode.stages.screentime import screentime

TABLE_VERSION = 1
"""Of the table's columns and their meaning."""

MODELS = (detect.name, faces.name, cluster.name, body_tracking.name)
"""The stages whose models decide who is where."""


@stage(
    requires=[screentime.name],
    uses=MODELS,
    makes=[SEGMENTS],
    tools=["pyarrow"],
    tells=True,
    version=TABLE_VERSION,
)
def segments(bench: Bench, settings: Settings) -> Outcome:  # noqa: ARG001 - nothing to set
    """A row for each stretch, sorted by identity, track and start; together, the totals."""
    import pyarrow as pa  # heavy
    import pyarrow.parquet as pq

    times = bench.read_document(SCREENTIME, ScreenTime)
    names = {each.identity_id: each.name or each.identity_id for each in times.people}
    shared = {
        "run_id": bench.head.run_id,
        "episode_id": bench.head.asset.id,
        "model_versions": _versions(bench),
        "thresholds_snapshot_hash": times.thresholds_hash,
    }
    rows: list[dict[str, Any]] = []
    for line in bench.read_artifacts(APPEARANCES):
        piece = ScreentimeSegmentV1.model_validate(line.payload)
        rows.append(
            shared
            | {
                "identity": names[piece.cluster_id],
                "identity_id": piece.cluster_id,
                "track_id": piece.track_id or "",
                "segment_start": line.span_start_ms / 1000,
                "segment_end": line.span_end_ms / 1000,
                "duration_s": (line.span_end_ms - line.span_start_ms) / 1000,
                "confidence": piece.confidence,
                "source": piece.evidence,
            }
        )
    rows.sort(key=_order)
    types = {"string": pa.string(), "double": pa.float64()}
    schema = pa.schema([(name, types[kind]) for name, kind in SEGMENTS.columns.items()])
    with bench.create(SEGMENTS) as file, pq.ParquetWriter(file, schema) as writer:
        writer.write_table(pa.Table.from_pylist(rows, schema=schema))
    return Done(producer=Producer(name="filmgate-segments", version=str(TABLE_VERSION)))


def _order(row: dict[str, Any]) -> tuple[str, str, float]:
    return (row["identity"], row["track_id"], row["segment_start"])


def _versions(bench: Bench) -> str:
    """Name and version of each model, by stage, as JSON."""
    records = {name: bench.record(name) for name in MODELS}
    made_by = {
        name: f"{record.producer.name} {record.producer.version}"
        for name, record in records.items()
        if record is not None and record.producer is not None
    }
    return json.dumps(made_by, sort_keys=True)
