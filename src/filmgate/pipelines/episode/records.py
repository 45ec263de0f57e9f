"""The contracts of the documents and records that the episode stages write, except artifacts."""

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
    """The time-base certificate: facts about the timestamps, found by decoding every frame."""

    time_base: str
    """Seconds per tick, as a fraction: `1/15360`."""
    frame_count: Count
    frames_without_time: Count
    """Decoded frames without a usable timestamp; all stages ignore them."""
    restarts: Count
    """Number of times that the timestamps restarted, as in recordings that were joined end to end.
    After a restart, times continue from the last time before it."""
    first_pts: int
    last_pts: int
    end_pts: int
    shortest_frame_ticks: int
    longest_frame_ticks: int
    average_rate: str | None
    """Frames per second, as a fraction. Descriptive only, never used to compute a time."""
    is_variable_rate: bool
    pts_sha256: str


class VideoFacts(_Document):
    """Facts about the video track."""

    track: int
    codec: str
    stored_width: int
    stored_height: int
    rotation_deg: int
    """Clockwise rotation that displays the picture upright: 0, 90, 180 or 270 degrees."""
    display_width: int
    display_height: int
    pixel_format: str
    is_interlaced: bool
    start_offset_ms: int
    """Presentation time of the first frame."""
    end_ms: int
    decode_errors: Count
    """Packets that could not be decoded."""
    damaged_frames: Count = 0
    """Frames decoded from damaged data; their content may be wrong."""
    time_base: TimeBase


class AudioFacts(_Document):
    """Facts about the first audio track, the one that is transcribed."""

    track: int
    codec: str
    language: str | None
    sample_rate: int
    channels: int
    end_ms: int
    decode_errors: Count


class SubtitleFacts(_Document):
    """Facts about a text track inside the container."""

    track: int
    codec: str
    language: str | None


class Probe(_Document):
    """`probe.json`: the contents of the container."""

    format: str
    origin_s: str
    """Container timestamp of 0 ms on the asset's timeline, in seconds, as a fraction."""
    duration_ms: Count
    """End of the last picture or sound, found by decoding."""
    claimed_duration_ms: int | None
    """Duration according to the container header."""
    video: VideoFacts | None
    audio: AudioFacts | None
    audio_tracks: Count
    subtitles: tuple[SubtitleFacts, ...]


class Detection(_Document):
    """`detections.jsonl`: a face in one sampled frame."""

    track_id: Label | None
    """Track of the face; None for a false alarm, which was detected too rarely to form a track."""
    frame_number: FrameNumber
    span_start_ms: Ms
    span_end_ms: Ms
    """Time of the next sampled frame, or the end of the shot."""
    bounding_box: BoundingBox
    confidence: Confidence | None
    """None if the face was not detected in this frame but followed by its appearance."""
    landmarks: tuple[Point, ...]
    """Right eye, left eye, nose, then further points of the detector; empty if the face was
    followed."""


class TrackMetrics(_Document):
    """`track_metrics.json`: measures of tracking quality."""

    producer: Producer
    tracks: Count
    lost: Count
    """Number of tracks that end before their shot."""
    likely_switches: Count
    """Number of tracks that begin at the position of another track, within a second after its end.
    Most likely, each is a face that was split into two tracks; the number is an estimate."""
    switch_rate: Share | None
    """`likely_switches` as a share of all tracks; None without tracks."""
    tracks_per_minute: Annotated[float, Field(ge=0)] | None
    short_share: Share | None
    """Share of tracks that last under a second."""
    longest_ms: tuple[Ms, ...]
    """Durations of the five longest tracks."""
    false_alarms: Count
    """Number of detections that belong to no track."""


class FaceModel(_Document):
    """`face_model.json`: the model that made the vectors in `faces.npy`."""

    producer: Producer
    dimensions: Count
    same_person: Annotated[float, Field(gt=0)]
    """Maximum Euclidean distance between two vectors of the same person."""
    is_unit: bool
    """Whether the vectors have length 1; if so, mean vectors are also normalised to length 1."""


class Face(_Document):
    """`faces.jsonl`: a face that passed the quality check.

    Its vector is row `face_index` of `faces.npy`.
    """

    face_index: Index
    track_id: Label
    frame_number: FrameNumber
    span_start_ms: Ms
    bounding_box: BoundingBox
    confidence: Confidence
    size_px: Annotated[float, Field(ge=0)]
    """Shorter side of the bounding box, in displayed pixels."""
    sharpness: Annotated[float, Field(ge=0)]
    """Variance of the Laplacian of the grey crop (Pech-Pacheco and others, 2000)."""
    frontality: Share
    """1 if the nose is midway between the eyes, 0 if it is below one of them."""
    crop: Label
    """Name of the face crop in `crops/faces.zip`."""


class Identity(_Document):
    """`identities.jsonl`: a cluster of face tracks that show the same person."""

    identity_id: Annotated[str, Field(pattern=r"^c[1-9][0-9]*$")]
    track_ids: tuple[Label, ...]
    faces: Count
    first_ms: Ms
    last_ms: Ms
    is_singleton: bool
    """Whether the identity has only one track: the person was seen once, or the track did not match
    any other."""
    spread: Annotated[float, Field(ge=0)]
    """Maximum distance between the mean vector of a track and that of the identity."""
    nearest_id: Label | None
    nearest_distance: Annotated[float, Field(ge=0)] | None
    """Distance to the mean vector of the most similar identity. A small distance suggests that both
    identities are the same person."""
    picture: Label
    """Name of the identity's best face crop in `crops/faces.zip`."""
    vector: tuple[float, ...]
    """Mean of the mean vectors of the identity's tracks."""

    @property
    def vector_sha256(self) -> str:
        """Digest of the mean vector; it changes whenever the clustering changes."""
        return sha256_hex(canonical_json(list(self.vector)))


class Fusion(_Document):
    """`track_fusion.jsonl`: the face tracks that belong to a body track."""

    body_track_id: Label
    face_track_ids: Annotated[tuple[Label, ...], Field(min_length=1)]
    cluster_id: Label | None
    """Identity of the faces; None if they were not clustered, or if several identities tie."""
    span_start_ms: Ms
    """Start of the body track."""
    span_end_ms: Ms
    """End of the body track."""
    overlap_ms: Ms
    """Time during which the faces are in the head area of the body."""
