"""Probe: measures what a file really contains by decoding all of it once."""

from array import array
from fractions import Fraction
from importlib import metadata

from filmgate.core.errors import Invalid
from filmgate.core.plan import Done, Outcome, Producer, Settings, stage
from filmgate.core.ports import StageContext
from filmgate.media.container import MediaFacts
from filmgate.media.time import format_clock, milliseconds
from filmgate.media.timebase import TimeBaseCertificate, certify
from filmgate.pipelines.episode.files import PROBE
from filmgate.pipelines.episode.records import (
    AudioFacts,
    Probe,
    SubtitleFacts,
    TimeBase,
    VideoFacts,
)
from filmgate.tools.containers import inspect, time_base
from filmgate.tools.decoding import Frame, SoundReader, VideoReader

LONG_FRAME_MS = 10_000
"""A frame shown longer than this is a still, or a gap in the recording."""

MEASURING_RATE = 16_000
"""Sample rate, in Hz, at which audio is decoded to find where it ends."""


@stage(makes=[PROBE], tools=["av"], version=2)
def probe(context: StageContext, settings: Settings) -> Outcome:  # noqa: ARG001 - no settings
    """Measure the container facts and the time-base certificate."""
    facts = inspect(context.source)
    video = _video(context, facts) if facts.video else None
    audio = _audio(context, facts) if facts.audio else None
    duration_ms = max(video.end_ms if video else 0, audio.end_ms if audio else 0)
    claimed = None if facts.duration is None else milliseconds(facts.duration)
    context.write_document(
        PROBE,
        Probe(
            format=facts.format,
            origin_s=str(facts.origin),
            duration_ms=duration_ms,
            claimed_duration_ms=claimed,
            video=video,
            audio=audio,
            audio_tracks=len(facts.audio),
            subtitles=tuple(
                SubtitleFacts(track=track.index, codec=track.codec, language=track.language)
                for track in facts.subtitles
            ),
        ),
    )
    _warn_of_damage(context, video, audio)
    if claimed is not None and duration_ms < claimed - max(1000, claimed // 50):
        context.warn(
            "shorter_than_claimed",
            f"only {format_clock(duration_ms)} of {format_clock(claimed)} can be decoded; "
            "the file may be incomplete",
            decoded_ms=duration_ms,
            claimed_ms=claimed,
        )
    counts = {"frames": video.time_base.frame_count} if video else {}
    return Done(
        producer=Producer(name="pyav", version=metadata.version("av")),
        counts=counts | {"audio tracks": len(facts.audio), "subtitle tracks": len(facts.subtitles)},
        metrics={
            "duration_ms": duration_ms,
            "is_variable_rate": video.time_base.is_variable_rate if video else None,
        },
    )


def _video(context: StageContext, facts: MediaFacts) -> VideoFacts:
    """Decode every frame. Raises Invalid if no frame has a usable timestamp."""
    assert facts.video is not None
    reader = VideoReader(context.source)
    stamps = array("q")
    first: Frame | None = None
    last: Frame | None = None
    for frame in reader:
        first = first or frame
        last = frame
        stamps.append(frame.pts)
        context.progress(float(frame.time), _seconds(facts.duration))
    if first is None or last is None:
        raise Invalid(
            f"no frame of {context.source.name} has a usable timestamp",
            expected="frames with timestamps",
            got=f"{reader.decode_errors} undecodable packets, "
            f"{reader.frames_without_time} frames without a timestamp",
        )
    picture = first.picture
    certificate = certify(stamps, time_base=time_base(picture), last_duration=last.duration)
    rotation = -round(picture.rotation) % 360
    is_turned = rotation in {90, 270}
    return VideoFacts(
        track=facts.video.index,
        codec=facts.video.codec,
        stored_width=picture.width,
        stored_height=picture.height,
        rotation_deg=rotation,
        display_width=picture.height if is_turned else picture.width,
        display_height=picture.width if is_turned else picture.height,
        pixel_format=picture.format.name,
        is_interlaced=bool(picture.interlaced_frame),
        start_offset_ms=milliseconds(first.time),
        end_ms=milliseconds(certificate.end_pts * certificate.time_base - facts.origin),
        decode_errors=reader.decode_errors,
        damaged_frames=reader.damaged_frames,
        time_base=_time_base(certificate, reader),
    )


def _time_base(certificate: TimeBaseCertificate, reader: VideoReader) -> TimeBase:
    rate = certificate.average_rate
    return TimeBase(
        time_base=str(certificate.time_base),
        frame_count=certificate.frame_count,
        frames_without_time=reader.frames_without_time,
        restarts=reader.restarts,
        first_pts=certificate.first_pts,
        last_pts=certificate.last_pts,
        end_pts=certificate.end_pts,
        shortest_frame_ticks=certificate.shortest_frame,
        longest_frame_ticks=certificate.longest_frame,
        average_rate=None if rate is None else str(rate),
        is_variable_rate=certificate.is_variable_rate,
        pts_sha256=certificate.pts_sha256,
    )


def _audio(context: StageContext, facts: MediaFacts) -> AudioFacts:
    reader = SoundReader(context.source, rate=MEASURING_RATE)
    samples = sum(len(block) for block in reader)
    track = facts.audio[0]
    return AudioFacts(
        track=track.index,
        codec=track.codec,
        language=track.language,
        sample_rate=track.sample_rate or 0,
        channels=track.channels or 0,
        end_ms=milliseconds(Fraction(samples, MEASURING_RATE)),
        decode_errors=reader.decode_errors,
    )


def _warn_of_damage(
    context: StageContext, video: VideoFacts | None, audio: AudioFacts | None
) -> None:
    lost = {
        "picture": video.decode_errors if video else 0,
        "sound": audio.decode_errors if audio else 0,
    }
    for kind, count in lost.items():
        if count:
            context.warn(
                "decode_errors", f"{count} packets of the {kind} cannot be decoded", packets=count
            )
    if video and video.damaged_frames:
        damage = f"{video.damaged_frames} of {video.time_base.frame_count} frames are damaged"
        context.warn(
            "damaged_frames",
            f"{damage}: cuts, faces and text in them may be missed or found wrongly",
            frames=video.damaged_frames,
        )
    if video and _longest_ms(video) > LONG_FRAME_MS:
        context.warn(
            "long_frame",
            f"one frame lasts {format_clock(_longest_ms(video))}: a still, or a gap in the "
            "recording; everything found in it counts for that whole time",
            longest_ms=_longest_ms(video),
        )
    if video and video.time_base.frames_without_time:
        count = video.time_base.frames_without_time
        context.warn(
            "frames_without_time", f"{count} frames have no usable timestamp", frames=count
        )
    if video and video.time_base.restarts:
        count = video.time_base.restarts
        context.warn("restarts", f"the timestamps restart {count} times", restarts=count)


def _longest_ms(video: VideoFacts) -> int:
    """Duration of the longest frame, except the last, in ms."""
    ticks = video.time_base.longest_frame_ticks
    return milliseconds(ticks * Fraction(video.time_base.time_base))


def _seconds(duration: Fraction | None) -> float | None:
    return None if duration is None else float(duration)
