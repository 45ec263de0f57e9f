"""Segments: writes screen time as a Parquet table, one row per segment, for analysis."""

import json

from filmgate.core.payloads.tracks import ScreentimeSegmentV1
from filmgate.core.plan import Done, Outcome, Producer, Settings, stage
from filmgate.core.ports import StageContext
from filmgate.pipelines.episode.files import APPEARANCES, SCREENTIME, SEGMENTS
from filmgate.pipelines.episode.screen_times import ScreenTime
from filmgate.pipelines.episode.stages.body_tracking import body_tracking
from filmgate.pipelines.episode.stages.cluster import cluster
from filmgate.pipelines.episode.stages.detect import detect
from filmgate.pipelines.episode.stages.faces import faces
from filmgate.pipelines.episode.stages.screentime import screentime

TABLE_VERSION = 1
"""Version of the table's columns and their meaning."""

MODELS = (detect.name, faces.name, cluster.name, body_tracking.name)
"""The stages whose models determine the result; their versions are written in every row."""


@stage(
    requires=[screentime.name],
    uses=MODELS,
    makes=[SEGMENTS],
    tools=["pyarrow"],
    reads_upstream_records=True,
    version=TABLE_VERSION,
)
def segments(context: StageContext, settings: Settings) -> Outcome:  # noqa: ARG001 - no settings
    """Write a row for each segment, sorted by identity, track and start.

    The durations of a person's rows add up to the person's total.
    """
    import pyarrow as pa  # slow to import
    import pyarrow.parquet as pq

    times = context.read_document(SCREENTIME, ScreenTime)
    names = {person.identity_id: person.name or person.identity_id for person in times.people}
    shared = {
        "run_id": context.head.run_id,
        "episode_id": context.head.asset.id,
        "model_versions": _versions(context),
        "thresholds_snapshot_hash": times.thresholds_hash,
    }
    found = [
        (line, ScreentimeSegmentV1.model_validate(line.payload))
        for line in context.read_artifacts(APPEARANCES)
    ]
    found.sort(
        key=lambda one: (names[one[1].cluster_id], one[1].track_id or "", one[0].span_start_ms)
    )
    rows = [
        {
            **shared,
            "identity": names[segment.cluster_id],
            "identity_id": segment.cluster_id,
            "track_id": segment.track_id or "",
            "segment_start": line.span_start_ms / 1000,
            "segment_end": line.span_end_ms / 1000,
            "duration_s": (line.span_end_ms - line.span_start_ms) / 1000,
            "confidence": segment.confidence,
            "source": segment.evidence,
        }
        for line, segment in found
    ]
    types = {"string": pa.string(), "double": pa.float64()}
    schema = pa.schema([(name, types[kind]) for name, kind in SEGMENTS.columns.items()])
    with context.create(SEGMENTS) as file, pq.ParquetWriter(file, schema) as writer:
        writer.write_table(pa.Table.from_pylist(rows, schema=schema))
    return Done(producer=Producer(name="filmgate-segments", version=str(TABLE_VERSION)))


def _versions(context: StageContext) -> str:
    """Format the name and version of each model, by stage, as JSON."""
    records = {name: context.record(name) for name in MODELS}
    made_by = {
        name: f"{record.producer.name} {record.producer.version}"
        for name, record in records.items()
        if record is not None and record.producer is not None
    }
    return json.dumps(made_by, sort_keys=True)
