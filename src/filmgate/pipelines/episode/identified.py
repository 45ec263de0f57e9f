"""What several stages ask of faces: when each track was seen, and whose it is."""

from collections.abc import Iterable, Iterator

from filmgate.core.ports import Bench
from filmgate.media.spans import Span
from filmgate.pipelines.episode.files import DETECTIONS, IDENTITIES
from filmgate.pipelines.episode.records import Detection, Identity


def faces_seen(bench: Bench) -> dict[str, Span]:
    """From when to when each track was detected: before and after, it was only followed."""
    seen: dict[str, Span] = {}
    for each in tracked(bench):
        if each.track_id is not None and each.confidence is not None:
            start = seen[each.track_id].start_ms if each.track_id in seen else each.span_start_ms
            seen[each.track_id] = Span(start_ms=start, end_ms=each.span_end_ms)
    return seen


def tracked(bench: Bench) -> Iterator[Detection]:
    """The detections that belong to tracks, in order of time."""
    return (each for each in bench.read_records(DETECTIONS, Detection) if each.track_id)


def owners(identities: Iterable[Identity]) -> dict[str, str]:
    """The identity of each face track that was grouped."""
    return {track: each.identity_id for each in identities for track in each.track_ids}


def identities_of(bench: Bench) -> list[Identity]:
    """Everybody, where faces were grouped."""
    return list(bench.read_records(IDENTITIES, Identity)) if bench.has(IDENTITIES) else []
