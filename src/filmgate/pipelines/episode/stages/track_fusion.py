"""Track fusion: which faces belong to which body, so that a turned face does not lose its name."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from filmgate.core.payloads.detections import PersonDetectionV1
from filmgate.core.plan import Done, Outcome, Producer, Settings, stage
from filmgate.core.ports import Bench
from filmgate.media.spans import Span
from filmgate.pipelines.episode.files import (
    BODY_TRACKS,
    PROBE,
    TRACK_FUSION,
)
from filmgate.pipelines.episode.following import LONGEST_PIECE_MS, box_of
from filmgate.pipelines.episode.identified import identities_of, owners, tracked
from filmgate.pipelines.episode.looking import shots_of
from filmgate.pipelines.episode.records import Fusion, Probe
from filmgate.pipelines.episode.rules.fusion import Fused, Where, fuse
from filmgate.pipelines.episode.stages.body_tracking import body_tracking
from filmgate.pipelines.episode.stages.cluster import cluster
from filmgate.pipelines.episode.stages.detect import detect
from filmgate.pipelines.episode.stages.faces import faces
from filmgate.pipelines.episode.stages.probe import probe
from filmgate.pipelines.episode.stages.scenes import scenes

RULE_VERSION = 1
"""Of the rule in `fusion.py`; raised whenever it decides otherwise."""

Wheres = dict[str, list[Where]]


@stage(
    requires=[probe.name, detect.name, faces.name, body_tracking.name],
    uses=[scenes.name, cluster.name],
    makes=[TRACK_FUSION],
    aliases=["body_tracking_fusion"],
    tools=["numpy", "scipy"],
    version=RULE_VERSION,
)
def track_fusion(bench: Bench, settings: Settings) -> Outcome:  # noqa: ARG001 - nothing to set
    """Join face tracks and body tracks, shot by shot."""
    facts = bench.read_document(PROBE, Probe)
    assert facts.video is not None  # detect was skipped otherwise
    who = owners(identities_of(bench))
    fusions: list[Fusion] = []
    bodies, heads = _Reader(_body_lines(bench)), _Reader(_face_lines(bench))
    for end_ms in _ends(shots_of(bench, facts.video)):
        here = bodies.until(end_ms)
        fused = fuse(here, heads.until(end_ms))
        fusions += [_fusion(each, here, who) for each in fused]
    bench.write_records(TRACK_FUSION, fusions)
    return Done(
        producer=Producer(name="filmgate-fusion", version=str(RULE_VERSION)),
        counts={"named": sum(each.cluster_id is not None for each in fusions)},
    )


def _ends(shots: Iterable[Span]) -> Iterator[int]:
    """Where tracks end at the latest: of every piece of every shot."""
    for shot in shots:
        yield from range(shot.start_ms + LONGEST_PIECE_MS, shot.end_ms, LONGEST_PIECE_MS)
        yield shot.end_ms


class _Reader:
    """Takes tracks off a stream in order of time, shot by shot."""

    def __init__(self, lines: Iterator[tuple[str, Where]]) -> None:
        self._lines = lines
        self._held = next(lines, None)

    def until(self, end_ms: int) -> Wheres:
        """The tracks up to there, each in order of time."""
        found: Wheres = {}
        while self._held is not None and self._held[1].span.start_ms < end_ms:
            name, where = self._held
            found.setdefault(name, []).append(where)
            self._held = next(self._lines, None)
        return found


def _body_lines(bench: Bench) -> Iterator[tuple[str, Where]]:
    for line in bench.read_artifacts(BODY_TRACKS):
        payload = PersonDetectionV1.model_validate(line.payload)
        span = Span(start_ms=line.span_start_ms, end_ms=line.span_end_ms)
        if payload.track_id is not None:
            yield payload.track_id, Where(span, box_of(payload.bounding_box))


def _face_lines(bench: Bench) -> Iterator[tuple[str, Where]]:
    for each in tracked(bench):
        if each.track_id is not None:
            span = Span(start_ms=each.span_start_ms, end_ms=each.span_end_ms)
            yield each.track_id, Where(span, box_of(each.bounding_box))


def _fusion(fused: Fused, bodies: Wheres, who: Mapping[str, str]) -> Fusion:
    wheres = bodies[fused.body]
    votes = Counter(who[face] for face in fused.faces if face in who).most_common(2)
    is_clear = len(votes) == 1 or (len(votes) > 1 and votes[0][1] > votes[1][1])
    return Fusion(
        body_track_id=fused.body,
        face_track_ids=fused.faces,
        cluster_id=votes[0][0] if is_clear else None,
        span_start_ms=wheres[0].span.start_ms,
        span_end_ms=wheres[-1].span.end_ms,
        overlap_ms=fused.together_ms,
    )
