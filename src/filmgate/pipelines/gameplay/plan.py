"""The plan of the gameplay pipeline: its two stages."""

from filmgate.core.plan import Plan
from filmgate.pipelines.gameplay.extraction import extraction
from filmgate.pipelines.gameplay.manifest import manifest

PLAN = Plan(pipeline="gameplay", stages=(extraction, manifest), packages="filmgate[gameplay]")
