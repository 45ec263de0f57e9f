"""Faces: crops the best faces of every track and computes their embeddings."""

import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from filmgate.core.errors import Unavailable
from filmgate.core.plan import Done, Outcome, SkipCause, Skipped, stage
from filmgate.core.ports import StageContext
from filmgate.core.providers import FaceEmbedder
from filmgate.media.time import milliseconds
from filmgate.pipelines.episode.files import (
    DETECTIONS,
    FACE_CROPS,
    FACE_MODEL,
    FACE_VECTORS,
    FACES,
    PROBE,
    TRACK_METRICS,
)
from filmgate.pipelines.episode.providers import BUILT_IN, Loaders, load_first_available
from filmgate.pipelines.episode.records import (
    Detection,
    Face,
    FaceModel,
    Probe,
    TrackMetrics,
    VideoFacts,
)
from filmgate.pipelines.episode.rules.quality import (
    FaceQualitySettings,
    compute_frontality,
    find_fault,
)
from filmgate.pipelines.episode.stages.detect import detect
from filmgate.pipelines.episode.stages.probe import probe
from filmgate.pipelines.episode.tracking import to_box
from filmgate.tools.decoding import VideoReader, fitted_size, upright
from filmgate.tools.face_models import DlibFaceEmbedder
from filmgate.tools.opencv_zoo import SFace

if TYPE_CHECKING:
    from filmgate.core.providers import Image, Vectors

MAX_SIDE_PX = 8192
"""Longer side, in pixels, to which larger pictures are reduced before faces are cropped."""

EMPTY_DIMENSIONS = 128
"""Number of columns of the table of vectors when it has no rows."""

ZIP_DATE = (1980, 1, 1, 0, 0, 0)
"""Date of every file in the archive: the earliest that ZIP can store."""


class FaceSettings(FaceQualitySettings):
    """Which faces are compared, and by which model."""

    models: tuple[Literal["sface", "built-in"], ...] = ("sface", BUILT_IN)
    """Face embedders in order of preference; the first available one is used."""
    per_track: Annotated[int, Field(ge=1, le=100)] = 4
    """Maximum number of faces per track, spread over its duration."""


@dataclass(frozen=True)
class _FaceCandidate:
    detection: Detection
    frontality: float


@stage(
    requires=[probe.name, detect.name],
    makes=[FACES, FACE_VECTORS, FACE_MODEL, FACE_CROPS],
    settings=FaceSettings,
    aliases=["faces_embed", "faces harvest"],
    tools=["av", "dlib-bin", "face_recognition_models", "numpy", "opencv-python-headless"],
    reads_resources=["sface"],
)
def faces(context: StageContext, settings: FaceSettings) -> Outcome:
    """Crop the best faces of each track, check their quality, and compute their embeddings."""
    facts = context.read_document(PROBE, Probe)
    detector_name = context.read_document(TRACK_METRICS, TrackMetrics).producer
    candidates = _best_candidates(context.read_records(DETECTIONS, Detection), settings.per_track)
    try:
        embedder = _embedder(context, settings, detector_name.name)
    except Unavailable as error:
        return Skipped(str(error), cause=SkipCause.NO_PROVIDER)
    rejected: Counter[str] = Counter()
    vectors: list[Vectors] = []
    records: list[Face] = []
    assert facts.video is not None  # without a video track, `detect` and this stage are skipped
    with context.create(FACE_CROPS) as file, zipfile.ZipFile(file, "w") as archive:
        for candidate, image, scale in _candidate_frames(context, facts.video, candidates):
            crop, face, fault = _crop_and_check(embedder, candidate, image, scale, settings)
            if fault is not None:
                rejected[fault] += 1
                continue
            face = face.model_copy(update={"face_index": len(records)})
            archive.writestr(zipfile.ZipInfo(face.crop, ZIP_DATE), _png(crop))
            vectors.append(embedder.embed([crop]))
            records.append(face)
    context.write_records(FACES, records)
    _write_vectors(context, vectors)
    context.write_document(
        FACE_MODEL,
        FaceModel(
            producer=embedder.producer,
            dimensions=vectors[0].shape[1] if vectors else EMPTY_DIMENSIONS,
            same_person=embedder.same_person,
            is_unit=embedder.is_unit,
        ),
    )
    if rejected and not records:
        context.warn(
            "no_good_face", f"none of the {rejected.total()} faces is good enough to compare"
        )
    return Done(
        producer=embedder.producer,
        counts={f"refused: {fault}": count for fault, count in sorted(rejected.items())},
        metrics={"same_person": embedder.same_person},
    )


def _embedder(context: StageContext, settings: FaceSettings, detector_name: str) -> FaceEmbedder:
    """Load the face embedder.

    SFace needs the landmarks of YuNet; for other detectors, the built-in embedder is used.
    """
    loaders: Loaders[FaceEmbedder] = {"sface": SFace} if detector_name == "yunet" else {}
    preferred = [name for name in settings.models if name == BUILT_IN or name in loaders]
    return load_first_available(context, preferred, loaders, DlibFaceEmbedder)


def _best_candidates(
    detections: Iterator[Detection], per_track: int
) -> dict[int, list[_FaceCandidate]]:
    """Return the best faces, one from each part of the duration of a track, by frame number."""
    candidates: dict[int, list[_FaceCandidate]] = {}
    open_tracks: dict[str, tuple[int, list[_FaceCandidate]]] = {}
    for detection in detections:
        for name, (end_ms, _) in tuple(open_tracks.items()):
            if end_ms < detection.span_start_ms:  # a track has a detection in every sampled frame
                _choose_best(open_tracks.pop(name)[1], per_track, candidates)
        if detection.track_id is None:
            continue
        _, track = open_tracks.get(detection.track_id, (0, []))
        if detection.confidence is not None:
            track.append(_FaceCandidate(detection, compute_frontality(detection.landmarks)))
        open_tracks[detection.track_id] = (detection.span_end_ms, track)
    for _, track in open_tracks.values():
        _choose_best(track, per_track, candidates)
    return candidates


def _choose_best(
    track: list[_FaceCandidate], per_track: int, candidates: dict[int, list[_FaceCandidate]]
) -> None:
    """Add the best face of each part of a track to `candidates`."""
    count = min(per_track, len(track))
    for number in range(count):
        part = track[number * len(track) // count : (number + 1) * len(track) // count]
        best = max(part, key=_expected_quality)
        candidates.setdefault(best.detection.frame_number, []).append(best)


def _expected_quality(candidate: _FaceCandidate) -> float:
    """Rate a face by size, confidence and frontality; faces with a high rating compare best."""
    box = candidate.detection.bounding_box
    return (
        (candidate.detection.confidence or 0.0) * candidate.frontality * min(box.width, box.height)
    )


def _candidate_frames(
    context: StageContext, video: VideoFacts, candidates: dict[int, list[_FaceCandidate]]
) -> "Iterator[tuple[_FaceCandidate, Image, float]]":
    """Yield (candidate, whole picture, displayed pixels per picture pixel) for each candidate."""
    size = None
    last = max(candidates, default=-1)
    for frame in VideoReader(context.source):
        if frame.number > last:
            return
        context.progress(milliseconds(frame.time) / 1000, video.end_ms / 1000)
        size = size or fitted_size(frame, longest=MAX_SIDE_PX)
        if frame.number in candidates:
            image = upright(frame, size)
            for candidate in candidates[frame.number]:
                yield candidate, image, video.display_width / image.shape[1]


def _crop_and_check(
    embedder: FaceEmbedder,
    candidate: _FaceCandidate,
    image: "Image",
    scale: float,
    gate: FaceQualitySettings,
) -> "tuple[Image, Face, str | None]":
    """Crop a face and measure its quality: (crop, record, fault or None)."""
    detection = candidate.detection
    box = to_box(detection.bounding_box)
    points = tuple((x / scale, y / scale) for x, y in detection.landmarks)
    crop = embedder.crop(image, box.scaled(1 / scale), points)
    face = Face(
        face_index=0,
        track_id=detection.track_id or "",
        frame_number=detection.frame_number,
        span_start_ms=detection.span_start_ms,
        bounding_box=detection.bounding_box,
        confidence=detection.confidence or 0.0,
        size_px=round(min(box.width, box.height), 1),
        sharpness=_sharpness(crop),
        frontality=candidate.frontality,
        crop=f"{detection.track_id}-{detection.frame_number}.png",
    )
    return crop, face, find_fault(face.size_px, face.sharpness, face.frontality, gate)


def _sharpness(crop: "Image") -> float:
    import cv2  # slow to import

    grey = cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY)
    return round(float(cv2.Laplacian(grey, cv2.CV_64F).var()), 2)


def _png(crop: "Image") -> bytes:
    import cv2  # slow to import

    _, data = cv2.imencode(".png", crop)
    return data.tobytes()


def _write_vectors(context: StageContext, vectors: "list[Vectors]") -> None:
    """Write the vectors, (n, d) float32, in NumPy's file format."""
    import numpy as np

    rows = np.concatenate(vectors) if vectors else np.zeros((0, EMPTY_DIMENSIONS), np.float32)
    with context.create(FACE_VECTORS) as file:
        np.lib.format.write_array(file, rows, version=(1, 0), allow_pickle=False)
