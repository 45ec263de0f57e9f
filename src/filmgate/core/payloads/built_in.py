"""The artifact types that ship with Filmgate, and their projections."""

from filmgate.core.payloads.artifact_type import ArtifactType
from filmgate.core.payloads.detections import FaceDetectionV1, ObjectDetectionV1, PersonDetectionV1
from filmgate.core.payloads.ocr import OcrTextV1
from filmgate.core.payloads.place import PlaceClassificationV1
from filmgate.core.payloads.projection import Column, Projection
from filmgate.core.payloads.registry import Registry
from filmgate.core.payloads.scene import SceneV1
from filmgate.core.payloads.tracks import ScreentimeSegmentV1, TrackV1
from filmgate.core.payloads.transcript import TranscriptSegmentV1

CONFIDENCE = Column(
    name="confidence",
    type="double precision",
    value="(payload ->> 'confidence')::double precision",
)
LABEL = Column(name="label", type="text", value="payload ->> 'label'")
CLUSTER = Column(name="cluster_id", type="text", value="payload ->> 'cluster_id'")
SCENE = Column(name="scene_index", type="integer", value="(payload ->> 'scene_index')::integer")
WORDS = (
    CONFIDENCE,
    Column(name="text", type="text", value="searched_text(payload ->> 'text')"),
    Column(
        name="words",
        type="tsvector",
        value="to_tsvector(text_config, searched_text(payload ->> 'text'))",
    ),
)

TRANSCRIPT_FTS = Projection(
    name="transcript_fts", artifact_type="transcript.segment", columns=WORDS
)
OCR_FTS = Projection(name="ocr_fts", artifact_type="ocr.text", columns=WORDS)
OBJECT_LABELS = Projection(
    name="object_labels",
    artifact_type="object.detection",
    columns=(LABEL, CONFIDENCE),
    by=("label",),
)
FACE_CLUSTERS = Projection(
    name="face_clusters",
    artifact_type="face.detection",
    columns=(CLUSTER, CONFIDENCE),
    by=("cluster_id",),
    where="payload ->> 'cluster_id' is not null",
)
SCENE_RANGES = Projection(name="scene_ranges", artifact_type="scene", columns=(SCENE,))
PLACE_LABELS = Projection(
    name="place_labels",
    artifact_type="place.classification",
    columns=(LABEL, CONFIDENCE),
    by=("label",),
)

BUILT_IN = Registry(
    [
        ArtifactType(
            name="face.detection", version=1, model=FaceDetectionV1, projections=(FACE_CLUSTERS,)
        ),
        ArtifactType(
            name="object.detection",
            version=1,
            model=ObjectDetectionV1,
            projections=(OBJECT_LABELS,),
        ),
        ArtifactType(name="ocr.text", version=1, model=OcrTextV1, projections=(OCR_FTS,)),
        ArtifactType(name="person.detection", version=1, model=PersonDetectionV1),
        ArtifactType(
            name="place.classification",
            version=1,
            model=PlaceClassificationV1,
            projections=(PLACE_LABELS,),
        ),
        ArtifactType(name="scene", version=1, model=SceneV1, projections=(SCENE_RANGES,)),
        ArtifactType(name="screentime.segment", version=1, model=ScreentimeSegmentV1),
        ArtifactType(name="track", version=1, model=TrackV1),
        ArtifactType(
            name="transcript.segment",
            version=1,
            model=TranscriptSegmentV1,
            projections=(TRANSCRIPT_FTS,),
        ),
    ]
)
