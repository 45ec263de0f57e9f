"""Places: classifies the place that each scene shows."""

from collections.abc import Iterator
from itertools import groupby
from typing import Annotated, Literal

from pydantic import Field

from filmgate.core.errors import Unavailable
from filmgate.core.payloads.place import AlternativeLabel, PlaceClassificationV1
from filmgate.core.plan import Done, Outcome, Settings, SkipCause, Skipped, stage
from filmgate.core.ports import StageContext, Timed
from filmgate.core.providers import PlaceClassifier
from filmgate.pipelines.episode.files import PLACES, PROBE
from filmgate.pipelines.episode.frame_sampling import read_shots, sample_frames
from filmgate.pipelines.episode.providers import Loaders, load_first_available
from filmgate.pipelines.episode.records import Probe, VideoFacts
from filmgate.pipelines.episode.stages.probe import probe
from filmgate.pipelines.episode.stages.scenes import scenes
from filmgate.tools.place_models import Places365

LOADERS: Loaders[PlaceClassifier] = {"places365": Places365}
LONGEST_SIDE_PX = 320
"""Longer side of the images that are classified, in pixels."""
ALTERNATIVES = 4
"""Number of alternative labels per scene."""


class PlaceSettings(Settings):
    """How places are classified."""

    models: tuple[Literal["places365"], ...] = ("places365",)
    """Place classifiers in order of preference; the first available one is used."""
    rate: Annotated[float, Field(gt=0, le=120)] = 0.5
    """Sampled frames per second; at least one frame per scene is sampled."""


@stage(
    requires=[probe.name],
    uses=[scenes.name],
    makes=[PLACES],
    settings=PlaceSettings,
    tools=["av", "numpy", "onnxruntime", "opencv-python-headless"],
    reads_resources=LOADERS,
)
def places(context: StageContext, settings: PlaceSettings) -> Outcome:
    """Classify a few frames of each scene, and use the mean of their probabilities."""
    facts = context.read_document(PROBE, Probe)
    if facts.video is None:
        return Skipped("no video track", cause=SkipCause.NO_INPUT)
    try:
        classifier = load_first_available(context, settings.models, LOADERS)
    except Unavailable as error:
        return Skipped(str(error), cause=SkipCause.NO_PROVIDER)
    context.write_artifacts(PLACES, _places(context, facts.video, settings, classifier))
    return Done(producer=classifier.producer)


def _places(
    context: StageContext, video: VideoFacts, settings: PlaceSettings, classifier: PlaceClassifier
) -> Iterator[Timed]:
    import numpy as np

    shots = read_shots(context, video)
    frames = sample_frames(context, video, shots, rate=settings.rate, longest=LONGEST_SIDE_PX)
    for number, shot in groupby(frames, key=lambda frame: frame.shot):
        classified = [(frame.frame_number, classifier.classify(frame.image)) for frame in shot]
        probabilities = np.mean([of_frame for _, of_frame in classified], axis=0)
        best = sorted(range(len(probabilities)), key=lambda index: (-probabilities[index], index))
        top, *others = [
            AlternativeLabel(
                label=classifier.labels[index], confidence=round(float(probabilities[index]), 4)
            )
            for index in best[: ALTERNATIVES + 1]
        ]
        payload = PlaceClassificationV1(
            label=top.label,
            confidence=top.confidence,
            alternative_labels=tuple(others),
            frame_number=classified[0][0],
        )
        yield Timed(shots[number].start_ms, shots[number].end_ms, payload)
