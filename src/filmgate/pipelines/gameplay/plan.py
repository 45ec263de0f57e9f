"""The plan of the gameplay pipeline, with two stages."""

from filmgate.core.plan import Plan
from filmgate.pipelines.gameplay.extraction_stage import extraction
from filmgate.pipelines.gameplay.manifest_stage import manifest

PLAN = Plan(pipeline="gameplay", stages=(extraction, manifest), packages="filmgate[gameplay]")
