"""The files of an episode run, and the documents among them."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from filmgate.core.files import artifacts, document

Count = Annotated[int, Field(ge=0)]


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


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


PROBE = document("probe.json", Probe, schema="episode.probe")
SCENES = artifacts("scenes.jsonl", "scene", min_records=1, counted_as="scenes")
TRANSCRIPT = artifacts("transcript.jsonl", "transcript.segment", counted_as="segments")
