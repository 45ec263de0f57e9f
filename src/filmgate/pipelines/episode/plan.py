"""The plan of the episode pipeline: the one place that says which stages there are."""

from typing import Any

from filmgate.core.plan import Plan
from filmgate.pipelines.episode.probe import probe
from filmgate.pipelines.episode.scenes import scenes
from filmgate.pipelines.episode.transcript import transcript

PLAN = Plan(pipeline="episode", stages=(probe, scenes, transcript), packages="filmgate[episode]")

FORMER_NAMES = {
    "detect_track": "detect",
    "detect/track": "detect",
    "faces_embed": "faces",
    "faces harvest": "faces",
    "body_tracking_fusion": "track_fusion",
    "screen_time": "screentime",
    "pdf_export": "pdf",
}
"""Today's name by the name that a stage went by before; on old markers, and typed by old hands."""

PROFILES: dict[str, dict[str, dict[str, Any]]] = {"fast": {}, "balanced": {}, "high_quality": {}}
"""What each profile sets otherwise than the stages' own defaults. The stages so far do the same
work in all three."""
