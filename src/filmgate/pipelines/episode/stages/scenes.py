"""Scenes: splits a video at its cuts, by presentation time."""

from collections.abc import Iterator
from importlib import metadata
from typing import TYPE_CHECKING

from filmgate.core.payloads.scene import SceneV1
from filmgate.core.plan import Done, Outcome, Producer, SkipCause, Skipped, stage
from filmgate.core.ports import StageContext, Timed
from filmgate.media.change import FrameChanges
from filmgate.media.time import milliseconds
from filmgate.pipelines.episode.files import PROBE, SCENES
from filmgate.pipelines.episode.records import Probe
from filmgate.pipelines.episode.rules.cuts import Cut, CutSettings, find_cuts
from filmgate.pipelines.episode.stages.probe import probe
from filmgate.tools.decoding import VideoReader, pixels, scaled_size
from filmgate.tools.frame_change import measure_changes

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

WIDTH = 256
"""Frame width, in pixels, at which change is measured. 160 and 320 gave the same cuts on all
clips tried."""

RULE_VERSION = 1
"""Version of the rule in `rules/cuts.py`; increased whenever its results change."""


class SceneSettings(CutSettings):
    """How cuts between scenes are detected."""


@stage(
    requires=[probe.name],
    makes=[SCENES],
    settings=SceneSettings,
    tools=["av", "numpy", "opencv-python-headless"],
    version=RULE_VERSION,
)
def scenes(context: StageContext, settings: SceneSettings) -> Outcome:
    """Compare every frame with the one before, and decide where the cuts are."""
    facts = context.read_document(PROBE, Probe)
    if facts.video is None:
        return Skipped("no video track", cause=SkipCause.NO_INPUT)
    changes = measure_changes(
        _pictures(context, facts.video.end_ms),
        min_content=settings.min_content,
        flash_ms=settings.flash_ms,
    )
    cuts = find_cuts(changes, settings)
    context.write_artifacts(SCENES, scenes_between(cuts, changes, facts.video.end_ms))
    return Done(
        producer=Producer(name="filmgate-cuts", version=str(RULE_VERSION)),
        counts={"scenes": len(cuts) + 1, "frames": len(changes.ms)},
        metrics={"opencv": metadata.version("opencv-python-headless")},
    )


def scenes_between(cuts: list[Cut], changes: FrameChanges, end_ms: int) -> Iterator[Timed]:
    """Yield one scene from each cut to the next; together they cover the video without gaps."""
    firsts = [Cut(entry=0, method="start", score=None, strength=0.0), *cuts]
    starts = [changes.ms[cut.entry] for cut in firsts]
    for number, (cut, start, end) in enumerate(
        zip(firsts, starts, [*starts[1:], end_ms], strict=True)
    ):
        payload = SceneV1(
            scene_index=number,
            method=cut.method,
            score=cut.score,
            frame_number=changes.number[cut.entry],
        )
        yield Timed(start, end, payload)


def _pictures(context: StageContext, end_ms: int) -> "Iterator[tuple[int, int, NDArray[np.uint8]]]":
    size = None
    for frame in VideoReader(context.source):
        size = size or scaled_size(frame, width=WIDTH)
        ms = milliseconds(frame.time)
        context.progress(ms / 1000, end_ms / 1000)
        yield frame.number, ms, pixels(frame, size)
