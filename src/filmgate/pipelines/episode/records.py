"""The documents and records of an episode's stages: the contracts that are not artifacts."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from filmgate.core.digest import canonical_json, sha256_hex
from filmgate.core.payloads.geometry import BoundingBox, Point
from filmgate.core.payloads.payload import Confidence, FrameNumber, Index, Label
from filmgate.core.plan import Producer

Count = Annotated[int, Field(ge=0)]
Ms = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)


class TimeBase(_Document):
    """The time-base certificate: what the timestamps are, found by decoding every frame."""

    time_base: str
    """Seconds a tick, as a fraction: `1/15360`."""
    frame_count: Count
    frames_without_time: Count
    """Decoded frames that could not be placed in time, and are left out everywhere."""
    restarts: Count
    """How often timestamps began anew (recordings joined end to end); they are counted on."""
    first_pts: int
    last_pts: int
    end_pts: int
    shortest_frame_ticks: int
    longest_frame_ticks: int
    average_rate: str | None
    """Frames a second, as a fraction; a description, never used to compute a time."""
    is_variable_rate: bool
    pts_sha256: str


class VideoFacts(_Document):
    """The picture."""

    track: int
    codec: str
    stored_width: int
    stored_height: int
    rotation_deg: int
    """Clockwise turn that displays it upright: 0, 90, 180 or 270."""
    display_width: int
    display_height: int
    pixel_format: str
    is_interlaced: bool
    start_offset_ms: int
    """How long after 0 the first frame is shown."""
    end_ms: int
    decode_errors: Count
    """Packets that could not be decoded."""
    damaged_frames: Count = 0
    """Frames that were decoded from broken data: what they show may be wrong."""
    time_base: TimeBase


class AudioFacts(_Document):
    """The sound track that is listened to: the first."""

    track: int
    codec: str
    language: str | None
    sample_rate: int
    channels: int
    end_ms: int
    decode_errors: Count


class SubtitleFacts(_Document):
    """A text track inside the container."""

    track: int
    codec: str
    language: str | None


class Probe(_Document):
    """`probe.json`: what the container holds."""

    format: str
    origin_s: str
    """The container time, as a fraction of seconds, that is 0 ms on the asset's time line."""
    duration_ms: Count
    """To the end of the last picture or sound, by decoding."""
    claimed_duration_ms: int | None
    """What the header says."""
    video: VideoFacts | None
    audio: AudioFacts | None
    audio_tracks: Count
    subtitles: tuple[SubtitleFacts, ...]


class Detection(_Document):
    """`detections.jsonl`: a face in one picture that was looked at."""

    track_id: Label | None
    """The track that it belongs to; None for a false alarm, seen too rarely to be a track."""
    frame_number: FrameNumber
    span_start_ms: Ms
    span_end_ms: Ms
    """Until the next look, or the end of its shot."""
    bounding_box: BoundingBox
    confidence: Confidence | None
    """None where it was not detected but followed by its looks."""
    landmarks: tuple[Point, ...]
    """Right eye, left eye, nose, and what else the detector tells; none where it was followed."""


class TrackMetrics(_Document):
    """`track_metrics.json`: whether tracking went well, in numbers."""

    producer: Producer
    tracks: Count
    lost: Count
    """Tracks that end before their shot does."""
    likely_switches: Count
    """Tracks that begin within a second, and on the place, of one that was just lost: one face
    that became two tracks, most likely. An estimate: the truth is not known."""
    switch_rate: Share | None
    """Of all tracks; None without a track."""
    tracks_per_minute: Annotated[float, Field(ge=0)] | None
    short_share: Share | None
    """Share of tracks that last under a second."""
    longest_ms: tuple[Ms, ...]
    """The longest five."""
    false_alarms: Count
    """Detections that no track took up."""


class FaceModel(_Document):
    """`face_model.json`: whose vectors `faces.npy` holds."""

    producer: Producer
    dimensions: Count
    same_person: Annotated[float, Field(gt=0)]
    """The Euclidean distance up to which two vectors are called one person's."""
    is_unit: bool
    """Whether they have length 1, and means of them are brought back to it."""


class Face(_Document):
    """`faces.jsonl`: a face good enough to compare; its vector is row `face_index` of faces.npy."""

    face_index: Index
    track_id: Label
    frame_number: FrameNumber
    span_start_ms: Ms
    bounding_box: BoundingBox
    confidence: Confidence
    size_px: Annotated[float, Field(ge=0)]
    """The shorter side of its box, in displayed pixels."""
    sharpness: Annotated[float, Field(ge=0)]
    """Variance of the Laplacian of the grey crop (Pech-Pacheco and others, 2000)."""
    frontality: Share
    """1 where the nose stands midway between the eyes, 0 where it is below one of them."""
    crop: Label
    """Its picture in `crops/faces.zip`."""


class Identity(_Document):
    """`identities.jsonl`: somebody, as this run groups faces."""

    identity_id: Annotated[str, Field(pattern=r"^c[1-9][0-9]*$")]
    track_ids: tuple[Label, ...]
    faces: Count
    first_ms: Ms
    last_ms: Ms
    is_singleton: bool
    """One track only: seen once, or failed to be grouped."""
    spread: Annotated[float, Field(ge=0)]
    """Greatest distance of one of its tracks from its mean."""
    nearest_id: Label | None
    nearest_distance: Annotated[float, Field(ge=0)] | None
    """To the mean of the identity most like it: small means, look whether they are one."""
    picture: Label
    """Its best face in `crops/faces.zip`."""
    vector: tuple[float, ...]
    """The mean of its tracks' vectors."""

    @property
    def vector_sha256(self) -> str:
        """Names exactly this grouping: grouped otherwise, it is another."""
        return sha256_hex(canonical_json(list(self.vector)))


class Fusion(_Document):
    """`track_fusion.jsonl`: the faces that belong to a body."""

    body_track_id: Label
    face_track_ids: Annotated[tuple[Label, ...], Field(min_length=1)]
    cluster_id: Label | None
    """Who it is; None where its faces were not grouped, or belong to several people equally."""
    span_start_ms: Ms
    span_end_ms: Ms
    """Of the body's track."""
    overlap_ms: Ms
    """How long its faces were seen inside it."""
