"""Body tracking: the bodies of every shot, followed whether their faces show or not."""

from collections.abc import Iterator
from typing import Literal

from filmgate.core.errors import Unavailable
from filmgate.core.payloads.detections import PersonDetectionV1
from filmgate.core.plan import Done, Outcome, Skipped, stage
from filmgate.core.ports import Bench, Timed
from filmgate.core.providers import ObjectDetector
from filmgate.pipelines.episode.files import BODY_TRACKS, PROBE
from filmgate.pipelines.episode.following import LookSettings, ShotTracks, followed
from filmgate.pipelines.episode.providers import BUILT_IN, Loaders, first_there
from filmgate.pipelines.episode.records import Probe
from filmgate.pipelines.episode.rules.tracking import Candidate
from filmgate.pipelines.episode.stages.probe import probe
from filmgate.pipelines.episode.stages.scenes import scenes
from filmgate.tools.body_models import HogBodies
from filmgate.tools.object_models import RtDetr, YoloX

PERSON = "person"


LOADERS: Loaders[ObjectDetector] = {"yolox": YoloX, "rtdetr": RtDetr}


class BodySettings(LookSettings):
    """How bodies are looked for."""

    models: tuple[Literal["rtdetr", "yolox", "built-in"], ...] = ("rtdetr", "yolox", BUILT_IN)
    """The first that is there finds the bodies."""
    rate: float = 5.0


@stage(
    requires=[probe.name],
    uses=[scenes.name],
    makes=[BODY_TRACKS],
    settings=BodySettings,
    tools=["av", "dlib-bin", "numpy", "onnxruntime", "opencv-python-headless", "scipy"],
    consults=LOADERS,
)
def body_tracking(bench: Bench, settings: BodySettings) -> Outcome:
    """Find bodies a few times a second, and follow each through its shot."""
    facts = bench.read_document(PROBE, Probe)
    if facts.video is None:
        return Skipped("no picture")
    try:
        detector = first_there(
            bench,
            settings.models,
            LOADERS,
            lambda: HogBodies(longest=settings.longest),
        )
    except Unavailable as error:
        return Skipped(str(error))
    shots = followed(
        bench,
        facts.video,
        settings,
        lambda image: [
            Candidate(seen.box, seen.confidence)
            for seen in detector.detect(image)
            if seen.label == PERSON
        ],
    )
    counts = {"bodies": 0, "false alarms": 0}
    bench.write_artifacts(BODY_TRACKS, _bodies(shots, counts))
    if counts["bodies"] and detector.producer.name == "opencv-hog":
        bench.warn(
            "built_in_bodies",
            "bodies were found by the built-in detector: upright, whole and large ones, about "
            "two of three; `filmgate models list` names better ones",
        )
    return Done(producer=detector.producer, counts=counts)


def _bodies(shots: Iterator[ShotTracks], counts: dict[str, int]) -> Iterator[Timed]:
    """Every body in every look, in order of time."""
    for shot in shots:
        counts["false alarms"] += len(shot.strays)
        here = []
        for trail in shot.trails:
            counts["bodies"] += 1
            name = f"b{counts['bodies']:05d}"
            here += [
                Timed(
                    each.span.start_ms,
                    each.span.end_ms,
                    PersonDetectionV1(
                        confidence=each.confidence,
                        bounding_box=shot.box(each),
                        track_id=name,
                        frame_number=each.frame_number,
                    ),
                )
                for each in trail.sightings
            ]
        yield from sorted(here, key=lambda timed: timed.place)
