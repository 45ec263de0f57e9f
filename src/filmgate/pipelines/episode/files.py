"""The artifact files of an episode run, with the contract of each."""

from filmgate.core.files import artifacts, binary, document, parquet, records
from filmgate.pipelines.episode.records import (
    Detection,
    Face,
    FaceModel,
    Fusion,
    Identity,
    Probe,
    TrackMetrics,
)
from filmgate.pipelines.episode.screen_times import SCREENTIME as SCREENTIME_SCHEMA
from filmgate.pipelines.episode.screen_times import ScreenTime

PROBE = document("probe.json", Probe, schema="episode.probe")
SCENES = artifacts("scenes.jsonl", "scene", min_records=1, counted_as="scenes")
DETECTIONS = records(
    "detections.jsonl", Detection, schema="episode.detection", counted_as="detections"
)
TRACKS = artifacts("tracks.jsonl", "track", counted_as="tracks")
TRACK_METRICS = document("track_metrics.json", TrackMetrics, schema="episode.track_metrics")
FACE_MODEL = document("face_model.json", FaceModel, schema="episode.face_model")
FACES = records("faces.jsonl", Face, schema="episode.face", counted_as="faces")
FACE_VECTORS = binary(
    "faces.npy", schema="episode.face_vectors", media_type="application/x-npy", key="face_vectors"
)
FACE_CROPS = binary("crops/faces.zip", schema="episode.face_crops", media_type="application/zip")
IDENTITIES = records(
    "identities.jsonl", Identity, schema="episode.identity", counted_as="identities"
)
FACE_DETECTIONS = artifacts("face_detections.jsonl", "face.detection", counted_as="faces seen")
BODY_TRACKS = artifacts("body_tracks.jsonl", "person.detection", counted_as="bodies seen")
TRACK_FUSION = records(
    "track_fusion.jsonl", Fusion, schema="episode.fusion", counted_as="bodies with a face"
)
TRANSCRIPT = artifacts("transcript.jsonl", "transcript.segment", counted_as="segments")
OBJECTS = artifacts("objects.jsonl", "object.detection", counted_as="objects")
PLACES = artifacts("places.jsonl", "place.classification", counted_as="places")
OCR = artifacts("ocr.jsonl", "ocr.text", counted_as="texts")
SCREENTIME = document("screentime.json", ScreenTime, schema=SCREENTIME_SCHEMA)
SCREENTIME_TABLE = binary(
    "screentime.csv", schema="episode.screentime_table", media_type="text/csv", key="screentime_csv"
)
APPEARANCES = artifacts("appearances.jsonl", "screentime.segment", counted_as="appearances")
SEGMENTS = parquet(
    "exports/segments.parquet",
    schema="episode.segments",
    columns={
        "run_id": "string",
        "episode_id": "string",
        "model_versions": "string",
        "identity": "string",
        "identity_id": "string",
        "track_id": "string",
        "segment_start": "double",
        "segment_end": "double",
        "duration_s": "double",
        "confidence": "double",
        "source": "string",
        "thresholds_snapshot_hash": "string",
    },
    counted_as="segments",
)
REPORT = binary("exports/run_debug.pdf", schema="episode.report", media_type="application/pdf")
