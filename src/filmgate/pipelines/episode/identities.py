"""Readers of face tracks and identities that several stages share."""

from collections.abc import Iterable, Iterator

from filmgate.core.ports import StageContext
from filmgate.media.spans import Span
from filmgate.pipelines.episode.files import DETECTIONS, IDENTITIES
from filmgate.pipelines.episode.records import Detection, Identity


def read_detected_spans(context: StageContext) -> dict[str, Span]:
    """Read the span of each track from its first to its last detection.

    Before and after that span, the face was followed by its appearance, not detected.
    """
    spans: dict[str, Span] = {}
    for detection in read_tracked_detections(context):
        track_id = detection.track_id
        if track_id is not None and detection.confidence is not None:
            start = spans[track_id].start_ms if track_id in spans else detection.span_start_ms
            spans[track_id] = Span(start_ms=start, end_ms=detection.span_end_ms)
    return spans


def read_tracked_detections(context: StageContext) -> Iterator[Detection]:
    """Read the detections that belong to a track, ordered by time."""
    return (found for found in context.read_records(DETECTIONS, Detection) if found.track_id)


def map_tracks_to_identities(identities: Iterable[Identity]) -> dict[str, str]:
    """Map the id of each clustered face track to the id of its identity."""
    return {track: identity.identity_id for identity in identities for track in identity.track_ids}


def read_identities(context: StageContext) -> list[Identity]:
    """Read all identities; empty if the cluster stage was skipped."""
    return list(context.read_records(IDENTITIES, Identity)) if context.has(IDENTITIES) else []
