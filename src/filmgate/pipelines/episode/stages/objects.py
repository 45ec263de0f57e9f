"""Objects: detects and labels the objects in a few frames per second."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from filmgate.core.errors import Unavailable
from filmgate.core.payloads.detections import ObjectDetectionV1, PersonDetectionV1
from filmgate.core.plan import Done, Outcome, Producer, Settings, SkipCause, Skipped, stage
from filmgate.core.ports import StageContext, Timed
from filmgate.core.providers import ObjectDetector
from filmgate.pipelines.episode.files import BODY_TRACKS, OBJECTS, PROBE
from filmgate.pipelines.episode.frame_sampling import read_shots, sample_frames
from filmgate.pipelines.episode.providers import BUILT_IN, load_first_available
from filmgate.pipelines.episode.records import Probe, VideoFacts
from filmgate.pipelines.episode.stages.body_tracking import LOADERS, PERSON, body_tracking
from filmgate.pipelines.episode.stages.probe import probe
from filmgate.pipelines.episode.stages.scenes import scenes
from filmgate.pipelines.episode.tracking import to_bounding_box

FROM_BODIES = Producer(name="filmgate-objects-from-bodies", version="1")
"""Producer of the built-in fallback: the body tracks, reported as objects labelled `person`."""


class ObjectSettings(Settings):
    """How objects are detected."""

    models: tuple[Literal["rtdetr", "yolox", "built-in"], ...] = ("rtdetr", "yolox", BUILT_IN)
    """Object detectors in order of preference; the first available one is used. The built-in one
    reports persons only."""
    rate: Annotated[float, Field(gt=0, le=120)] = 2.0
    """Sampled frames per second."""
    longest: Annotated[int, Field(ge=64, le=8192)] = 960
    """Longer side of the sampled images, in pixels."""


@stage(
    requires=[probe.name],
    uses=[scenes.name, body_tracking.name],
    makes=[OBJECTS],
    settings=ObjectSettings,
    tools=["av", "numpy", "onnxruntime", "opencv-python-headless"],
    reads_resources=LOADERS,
)
def objects(context: StageContext, settings: ObjectSettings) -> Outcome:
    """Detect objects; without a model, report the body tracks as objects."""
    facts = context.read_document(PROBE, Probe)
    if facts.video is None:
        return Skipped("no video track", cause=SkipCause.NO_INPUT)
    preferred = [name for name in settings.models if name != BUILT_IN]
    try:
        detector = load_first_available(context, preferred, LOADERS)
    except Unavailable as error:
        if BUILT_IN not in settings.models or not context.has(BODY_TRACKS):
            return Skipped(str(error), cause=SkipCause.NO_PROVIDER)
        context.write_artifacts(OBJECTS, _objects_from_bodies(context))
        context.warn("persons_only", f"only persons are reported, from the body tracks: {error}")
        return Done(producer=FROM_BODIES)
    context.write_artifacts(OBJECTS, _detected_objects(context, facts.video, settings, detector))
    return Done(producer=detector.producer)


def _detected_objects(
    context: StageContext, video: VideoFacts, settings: ObjectSettings, detector: ObjectDetector
) -> Iterator[Timed]:
    shots = read_shots(context, video)
    for frame in sample_frames(context, video, shots, rate=settings.rate, longest=settings.longest):
        in_frame = [
            Timed(
                frame.span.start_ms,
                frame.span.end_ms,
                ObjectDetectionV1(
                    label=found.label,
                    confidence=found.confidence,
                    bounding_box=to_bounding_box(found.box.scaled(frame.scale)),
                    frame_number=frame.frame_number,
                ),
            )
            for found in detector.detect(frame.image)
        ]
        yield from sorted(in_frame, key=lambda timed: timed.sort_key)


def _objects_from_bodies(context: StageContext) -> Iterator[Timed]:
    """Yield the bodies that were detected, not those that were only followed."""
    for line in context.read_artifacts(BODY_TRACKS):
        body = PersonDetectionV1.model_validate(line.payload)
        if body.confidence is not None:
            payload = ObjectDetectionV1(
                label=PERSON,
                confidence=body.confidence,
                bounding_box=body.bounding_box,
                frame_number=body.frame_number,
            )
            yield Timed(line.span_start_ms, line.span_end_ms, payload)
