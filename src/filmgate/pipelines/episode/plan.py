"""The plan of the episode pipeline: the one place that says which stages there are."""

from typing import Any

from filmgate.core.plan import Plan
from filmgate.pipelines.episode.probe import probe
from filmgate.pipelines.episode.scenes import scenes
from filmgate.pipelines.episode.transcript import transcript

PLAN = Plan(pipeline="episode", stages=(probe, scenes, transcript))

PROFILES: dict[str, dict[str, dict[str, Any]]] = {"fast": {}, "balanced": {}, "high_quality": {}}
"""What each profile sets otherwise than the stages' own defaults. The stages so far do the same
work in all three."""
