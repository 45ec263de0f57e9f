"""The plan of the episode pipeline: its stages and profiles."""

from filmgate.core.plan import Plan
from filmgate.pipelines.episode.providers import BUILT_IN
from filmgate.pipelines.episode.stages.body_tracking import body_tracking
from filmgate.pipelines.episode.stages.cluster import cluster
from filmgate.pipelines.episode.stages.detect import detect
from filmgate.pipelines.episode.stages.faces import faces
from filmgate.pipelines.episode.stages.objects import objects
from filmgate.pipelines.episode.stages.ocr import ocr
from filmgate.pipelines.episode.stages.pdf import report_on
from filmgate.pipelines.episode.stages.places import places
from filmgate.pipelines.episode.stages.probe import probe
from filmgate.pipelines.episode.stages.scenes import scenes
from filmgate.pipelines.episode.stages.screentime import screentime
from filmgate.pipelines.episode.stages.segments import segments
from filmgate.pipelines.episode.stages.track_fusion import track_fusion
from filmgate.pipelines.episode.stages.transcript import transcript

REPORTED = (
    scenes,
    detect,
    faces,
    cluster,
    body_tracking,
    track_fusion,
    transcript,
    objects,
    places,
    ocr,
    screentime,
    segments,
)
"""The stages that the report covers, besides `probe`."""

PLAN = Plan(
    pipeline="episode",
    stages=(probe, *REPORTED, report_on(REPORTED)),
    packages="filmgate[episode]",
)

FAST_MODELS_FIRST = ("yolox", "rtdetr", BUILT_IN)

PROFILES: dict[str, dict[str, dict[str, float | tuple[str, ...]]]] = {
    "fast": {
        "detect": {"longest": 640, "rate": 4.0},
        "faces": {"per_track": 2},
        "body_tracking": {"models": FAST_MODELS_FIRST, "longest": 640, "rate": 2.5},
        "objects": {"models": FAST_MODELS_FIRST, "rate": 1.0, "longest": 640},
        "places": {"rate": 0.2},
        "ocr": {"longest": 640, "period_ms": 3000, "rate": 5.0},
    },
    "balanced": {},
    "high_quality": {
        "detect": {"longest": 1280, "rate": 10.0, "search_every": 1},
        "faces": {"per_track": 8},
        "body_tracking": {"longest": 1280, "search_every": 1, "min_detections": 3},
        "objects": {"rate": 5.0, "longest": 1280},
        "places": {"rate": 2.0},
        "ocr": {"longest": 1280, "period_ms": 500},
    },
}
"""Settings of each profile that differ from the stages' defaults; the defaults are `balanced`."""
