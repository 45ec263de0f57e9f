"""Objects: the things in the picture, each with its label, at a few looks a second."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from filmgate.core.errors import Unavailable
from filmgate.core.payloads.detections import ObjectDetectionV1, PersonDetectionV1
from filmgate.core.plan import Done, Outcome, Producer, Settings, Skipped, stage
from filmgate.core.ports import Bench, Timed
from filmgate.core.providers import ObjectDetector
from filmgate.pipelines.episode.files import BODY_TRACKS, OBJECTS, PROBE
from filmgate.pipelines.episode.following import bounding_box
from filmgate.pipelines.episode.looking import look, shots_of
from filmgate.pipelines.episode.providers import BUILT_IN, first_there
from filmgate.pipelines.episode.records import Probe, VideoFacts
from filmgate.pipelines.episode.stages.body_tracking import LOADERS, PERSON, body_tracking
from filmgate.pipelines.episode.stages.probe import probe
from filmgate.pipelines.episode.stages.scenes import scenes

FROM_BODIES = Producer(name="filmgate-objects-from-bodies", version="1")
"""The built-in fallback: no detector of its own, but the bodies that were found, as `person`."""


class ObjectSettings(Settings):
    """How things are looked for."""

    models: tuple[Literal["rtdetr", "yolox", "built-in"], ...] = ("rtdetr", "yolox", BUILT_IN)
    """The first that is there finds them; the built-in one knows persons only."""
    rate: Annotated[float, Field(gt=0, le=120)] = 2.0
    """Looks a second."""
    longest: Annotated[int, Field(ge=64, le=8192)] = 960
    """Pixels of the longer side at which pictures are looked at."""


@stage(
    requires=[probe.name],
    uses=[scenes.name, body_tracking.name],
    makes=[OBJECTS],
    settings=ObjectSettings,
    tools=["av", "numpy", "onnxruntime", "opencv-python-headless"],
    consults=LOADERS,
)
def objects(bench: Bench, settings: ObjectSettings) -> Outcome:
    """Look for things; without a model, tell of the bodies that are known."""
    facts = bench.read_document(PROBE, Probe)
    if facts.video is None:
        return Skipped("no picture")
    named = [name for name in settings.models if name != BUILT_IN]
    try:
        detector = first_there(bench, named, LOADERS)
    except Unavailable as error:
        if BUILT_IN not in settings.models or not bench.has(BODY_TRACKS):
            return Skipped(str(error))
        bench.write_artifacts(OBJECTS, _bodies(bench))
        bench.warn("persons_only", f"persons only, from the body tracks: {error}")
        return Done(producer=FROM_BODIES)
    bench.write_artifacts(OBJECTS, _things(bench, facts.video, settings, detector))
    return Done(producer=detector.producer)


def _things(
    bench: Bench, video: VideoFacts, settings: ObjectSettings, detector: ObjectDetector
) -> Iterator[Timed]:
    shots = shots_of(bench, video)
    for each in look(bench, video, shots, rate=settings.rate, longest=settings.longest):
        here = [
            Timed(
                each.span.start_ms,
                each.span.end_ms,
                ObjectDetectionV1(
                    label=seen.label,
                    confidence=seen.confidence,
                    bounding_box=bounding_box(seen.box.scaled(each.scale)),
                    frame_number=each.frame_number,
                ),
            )
            for seen in detector.detect(each.image)
        ]
        yield from sorted(here, key=lambda timed: timed.place)


def _bodies(bench: Bench) -> Iterator[Timed]:
    """Bodies that were detected (not those that were only followed)."""
    for line in bench.read_artifacts(BODY_TRACKS):
        body = PersonDetectionV1.model_validate(line.payload)
        if body.confidence is not None:
            payload = ObjectDetectionV1(
                label=PERSON,
                confidence=body.confidence,
                bounding_box=body.bounding_box,
                frame_number=body.frame_number,
            )
            yield Timed(line.span_start_ms, line.span_end_ms, payload)
