"""Places: where each scene is set."""

from collections.abc import Iterator
from itertools import groupby
from typing import Annotated, Literal

from pydantic import Field

from filmgate.core.errors import Unavailable
from filmgate.core.payloads.place import AlternativeLabel, PlaceClassificationV1
from filmgate.core.plan import Done, Outcome, Settings, Skipped, stage
from filmgate.core.ports import Bench, Timed
from filmgate.core.providers import PlaceClassifier
from filmgate.pipelines.episode.files import PLACES, PROBE
from filmgate.pipelines.episode.looking import look, shots_of
from filmgate.pipelines.episode.providers import Loaders, first_there
from filmgate.pipelines.episode.records import Probe, VideoFacts
from filmgate.pipelines.episode.stages.probe import probe
from filmgate.pipelines.episode.stages.scenes import scenes
from filmgate.tools.place_models import Places365

LOADERS: Loaders[PlaceClassifier] = {"places365": Places365}
LONGEST = 320
ALTERNATIVES = 4


class PlaceSettings(Settings):
    """How places are told."""

    models: tuple[Literal["places365"], ...] = ("places365",)
    """The first that is there tells them."""
    rate: Annotated[float, Field(gt=0, le=120)] = 0.5
    """Looks a second; at least one a scene."""


@stage(
    requires=[probe.name],
    uses=[scenes.name],
    makes=[PLACES],
    settings=PlaceSettings,
    tools=["av", "numpy", "onnxruntime", "opencv-python-headless"],
    consults=LOADERS,
)
def places(bench: Bench, settings: PlaceSettings) -> Outcome:
    """Classify a few pictures of each scene; the mean of their probabilities decides."""
    facts = bench.read_document(PROBE, Probe)
    if facts.video is None:
        return Skipped("no picture")
    try:
        classifier = first_there(bench, settings.models, LOADERS)
    except Unavailable as error:
        return Skipped(str(error))
    bench.write_artifacts(PLACES, _places(bench, facts.video, settings, classifier))
    return Done(producer=classifier.producer)


def _places(
    bench: Bench, video: VideoFacts, settings: PlaceSettings, classifier: PlaceClassifier
) -> Iterator[Timed]:
    import numpy as np

    shots = shots_of(bench, video)
    looks = look(bench, video, shots, rate=settings.rate, longest=LONGEST)
    for number, shot in groupby(looks, key=lambda each: each.shot):
        pictures = [(each.frame_number, classifier.classify(each.image)) for each in shot]
        likely = np.mean([shares for _, shares in pictures], axis=0)
        best = sorted(range(len(likely)), key=lambda index: (-likely[index], index))
        top, *others = [
            AlternativeLabel(
                label=classifier.labels[index], confidence=round(float(likely[index]), 4)
            )
            for index in best[: ALTERNATIVES + 1]
        ]
        payload = PlaceClassificationV1(
            label=top.label,
            confidence=top.confidence,
            alternative_labels=tuple(others),
            frame_number=pictures[0][0],
        )
        yield Timed(shots[number].start_ms, shots[number].end_ms, payload)
