"""Faces: the best pictures of every track, cropped and turned into vectors."""

import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from filmgate.core.errors import Unavailable
from filmgate.core.plan import Done, Outcome, Skipped, stage
from filmgate.core.ports import Bench
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
from filmgate.pipelines.episode.following import box_of
from filmgate.pipelines.episode.providers import BUILT_IN, Loaders, first_there
from filmgate.pipelines.episode.records import (
    Detection,
    Face,
    FaceModel,
    Probe,
    TrackMetrics,
    VideoFacts,
)
from filmgate.pipelines.episode.rules.quality import FaceGate, fault, frontality
from filmgate.pipelines.episode.stages.detect import detect
from filmgate.pipelines.episode.stages.probe import probe
from filmgate.tools.decoding import VideoReader, fitted_size, upright
from filmgate.tools.face_models import DlibFaceEmbedder
from filmgate.tools.opencv_zoo import SFace

if TYPE_CHECKING:
    from filmgate.core.providers import Image, Vectors

LONGEST = 8192
"""Faces are cut from the picture as it is; only giants are made smaller first."""

NOBODY = 128
"""Columns of the table of vectors where it has no row."""

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The date of every file in the archive: the earliest that ZIP knows."""


class FaceSettings(FaceGate):
    """Which faces are compared, and how."""

    models: tuple[Literal["sface", "built-in"], ...] = ("sface", BUILT_IN)
    """The first that is there makes the vectors."""
    per_track: Annotated[int, Field(ge=1, le=100)] = 4
    """So many faces of a track at most, spread over its life."""


@dataclass(frozen=True)
class _Wanted:
    detection: Detection
    frontality: float


@stage(
    requires=[probe.name, detect.name],
    makes=[FACES, FACE_VECTORS, FACE_MODEL, FACE_CROPS],
    settings=FaceSettings,
    aliases=["faces_embed", "faces harvest"],
    tools=["av", "dlib-bin", "face_recognition_models", "numpy", "opencv-python-headless"],
    consults=["sface"],
)
def faces(bench: Bench, settings: FaceSettings) -> Outcome:
    """Crop the best faces of each track from the full picture, gate them, make vectors."""
    facts = bench.read_document(PROBE, Probe)
    found_by = bench.read_document(TRACK_METRICS, TrackMetrics).producer
    wanted = _best(bench.read_records(DETECTIONS, Detection), settings.per_track)
    try:
        embedder = _embedder(bench, settings, found_by.name)
    except Unavailable as error:
        return Skipped(str(error))
    refused: Counter[str] = Counter()
    vectors: list[Vectors] = []
    records: list[Face] = []
    assert facts.video is not None  # detect was skipped otherwise
    with bench.create(FACE_CROPS) as file, zipfile.ZipFile(file, "w") as archive:
        for want, image, scale in _pictures(bench, facts.video, wanted):
            crop, face, why_not = _look_closely(embedder, want, image, scale, settings)
            if why_not is not None:
                refused[why_not] += 1
                continue
            face = face.model_copy(update={"face_index": len(records)})
            archive.writestr(zipfile.ZipInfo(face.crop, EPOCH), _png(crop))
            vectors.append(embedder.embed([crop]))
            records.append(face)
    bench.write_records(FACES, records)
    _save(bench, vectors)
    bench.write_document(
        FACE_MODEL,
        FaceModel(
            producer=embedder.producer,
            dimensions=vectors[0].shape[1] if vectors else NOBODY,
            same_person=embedder.same_person,
            is_unit=embedder.is_unit,
        ),
    )
    if refused and not records:
        bench.warn("no_good_face", f"none of {refused.total()} faces is good enough to compare")
    return Done(
        producer=embedder.producer,
        counts={f"refused: {why}": count for why, count in sorted(refused.items())},
        metrics={"same_person": embedder.same_person},
    )


def _embedder(bench: Bench, settings: FaceSettings, found_by: str) -> FaceEmbedder:
    """SFace wants YuNet's landmarks; without them the built-in one is taken."""
    loaders: Loaders[FaceEmbedder] = {"sface": SFace} if found_by == "yunet" else {}
    preferred = [name for name in settings.models if name == BUILT_IN or name in loaders]
    return first_there(bench, preferred, loaders, DlibFaceEmbedder)


def _best(detections: Iterator[Detection], per_track: int) -> dict[int, list[_Wanted]]:
    """By frame: the most promising faces of each track, one of each part of its life."""
    wanted: dict[int, list[_Wanted]] = {}
    open_tracks: dict[str, tuple[int, list[_Wanted]]] = {}
    for detection in detections:
        for name, (end_ms, _) in tuple(open_tracks.items()):
            if end_ms < detection.span_start_ms:  # it is in every look of its life
                _choose(open_tracks.pop(name)[1], per_track, wanted)
        if detection.track_id is None:
            continue
        _, seen = open_tracks.get(detection.track_id, (0, []))
        if detection.confidence is not None:
            seen.append(_Wanted(detection, frontality(detection.landmarks)))
        open_tracks[detection.track_id] = (detection.span_end_ms, seen)
    for _, seen in open_tracks.values():
        _choose(seen, per_track, wanted)
    return wanted


def _choose(track: list[_Wanted], per_track: int, wanted: dict[int, list[_Wanted]]) -> None:
    count = min(per_track, len(track))
    for part in range(count):
        share = track[part * len(track) // count : (part + 1) * len(track) // count]
        best = max(share, key=_promise)
        wanted.setdefault(best.detection.frame_number, []).append(best)


def _promise(want: _Wanted) -> float:
    """Large, sure and frontal faces compare best."""
    box = want.detection.bounding_box
    return (want.detection.confidence or 0.0) * want.frontality * min(box.width, box.height)


def _pictures(
    bench: Bench, video: VideoFacts, wanted: dict[int, list[_Wanted]]
) -> "Iterator[tuple[_Wanted, Image, float]]":
    """Each wanted face with its whole picture, and displayed pixels for each of the picture's."""
    size = None
    last = max(wanted, default=-1)
    for frame in VideoReader(bench.source):
        if frame.number > last:
            return
        bench.progress(milliseconds(frame.time) / 1000, video.end_ms / 1000)
        size = size or fitted_size(frame, longest=LONGEST)
        if frame.number in wanted:
            image = upright(frame, size)
            for want in wanted[frame.number]:
                yield want, image, video.display_width / image.shape[1]


def _look_closely(
    embedder: FaceEmbedder,
    want: _Wanted,
    image: "Image",
    scale: float,
    gate: FaceGate,
) -> "tuple[Image, Face, str | None]":
    """A face's crop, what is known of it, and why it is not good enough, where it is not."""
    detection = want.detection
    box = box_of(detection.bounding_box)
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
        frontality=want.frontality,
        crop=f"{detection.track_id}-{detection.frame_number}.png",
    )
    return crop, face, fault(face.size_px, face.sharpness, face.frontality, gate)


def _sharpness(crop: "Image") -> float:
    import cv2  # heavy

    grey = cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY)
    return round(float(cv2.Laplacian(grey, cv2.CV_64F).var()), 2)


def _png(crop: "Image") -> bytes:
    import cv2  # heavy

    _, data = cv2.imencode(".png", crop)
    return data.tobytes()


def _save(bench: Bench, vectors: "list[Vectors]") -> None:
    """(n, d) float32 in NumPy's own format."""
    import numpy as np

    rows: Any = np.concatenate(vectors) if vectors else np.zeros((0, NOBODY), np.float32)
    with bench.create(FACE_VECTORS) as file:
        np.lib.format.write_array(file, rows, version=(1, 0), allow_pickle=False)
