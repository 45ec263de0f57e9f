"""Body tracking: tracks the bodies of every shot, whether their faces are visible or not."""

from collections.abc import Iterator
from typing import Literal

from filmgate.core.errors import Unavailable
from filmgate.core.payloads.detections import PersonDetectionV1
from filmgate.core.plan import Done, Outcome, SkipCause, Skipped, stage
from filmgate.core.ports import StageContext, Timed
from filmgate.core.providers import ObjectDetector
from filmgate.pipelines.episode.files import BODY_TRACKS, PROBE
from filmgate.pipelines.episode.providers import BUILT_IN, Loaders, load_first_available
from filmgate.pipelines.episode.records import Probe
from filmgate.pipelines.episode.rules.tracking import Candidate
from filmgate.pipelines.episode.stages.probe import probe
from filmgate.pipelines.episode.stages.scenes import scenes
from filmgate.pipelines.episode.tracking import SampledTrackingSettings, ShotTracks, track_shots
from filmgate.tools.body_models import HogBodies
from filmgate.tools.object_models import RtDetr, YoloX

PERSON = "person"


LOADERS: Loaders[ObjectDetector] = {"yolox": YoloX, "rtdetr": RtDetr}


class BodySettings(SampledTrackingSettings):
    """How bodies are detected and tracked."""

    models: tuple[Literal["rtdetr", "yolox", "built-in"], ...] = ("rtdetr", "yolox", BUILT_IN)
    """Body detectors in order of preference; the first available one is used."""
    rate: float = 5.0


@stage(
    requires=[probe.name],
    uses=[scenes.name],
    makes=[BODY_TRACKS],
    settings=BodySettings,
    tools=["av", "dlib-bin", "numpy", "onnxruntime", "opencv-python-headless", "scipy"],
    reads_resources=LOADERS,
)
def body_tracking(context: StageContext, settings: BodySettings) -> Outcome:
    """Detect bodies a few times a second, and track each through its shot."""
    facts = context.read_document(PROBE, Probe)
    if facts.video is None:
        return Skipped("no video track", cause=SkipCause.NO_INPUT)
    try:
        detector = load_first_available(
            context,
            settings.models,
            LOADERS,
            lambda: HogBodies(longest=settings.longest),
        )
    except Unavailable as error:
        return Skipped(str(error), cause=SkipCause.NO_PROVIDER)
    shots = track_shots(
        context,
        facts.video,
        settings,
        lambda image: [
            Candidate(found.box, found.confidence)
            for found in detector.detect(image)
            if found.label == PERSON
        ],
    )
    counts = {"bodies": 0, "false alarms": 0}
    context.write_artifacts(BODY_TRACKS, _bodies(shots, counts))
    if counts["bodies"] and detector.producer.name == "opencv-hog":
        context.warn(
            "built_in_bodies",
            "bodies were detected by the built-in detector, which finds about two thirds of the "
            "upright, whole and large ones; `filmgate models list` shows better models",
        )
    return Done(producer=detector.producer, counts=counts)


def _bodies(shots: Iterator[ShotTracks], counts: dict[str, int]) -> Iterator[Timed]:
    """Yield every body in every sampled frame, ordered by time; count bodies and false alarms."""
    for shot in shots:
        counts["false alarms"] += len(shot.stray_detections)
        bodies = []
        for track in shot.tracks:
            counts["bodies"] += 1
            name = f"b{counts['bodies']:05d}"
            bodies += [
                Timed(
                    point.span.start_ms,
                    point.span.end_ms,
                    PersonDetectionV1(
                        confidence=point.confidence,
                        bounding_box=shot.displayed_box(point),
                        track_id=name,
                        frame_number=point.frame_number,
                    ),
                )
                for point in track.points
            ]
        yield from sorted(bodies, key=lambda timed: timed.sort_key)
