"""The plan of the rulebook pipeline: its six passes."""

from typing import Any

from filmgate.core.plan import Plan
from filmgate.pipelines.rulebook.pass_a import A
from filmgate.pipelines.rulebook.pass_b import B
from filmgate.pipelines.rulebook.pass_c import C
from filmgate.pipelines.rulebook.pass_d import D
from filmgate.pipelines.rulebook.pass_e import E
from filmgate.pipelines.rulebook.pass_f import F

PLAN = Plan(pipeline="rulebook", stages=(A, B, C, D, E, F), packages="filmgate[rulebook]")

PROFILES: dict[str, dict[str, dict[str, Any]]] = {
    "fast": {},
    "balanced": {},
    "high_quality": {"D": {"embeddings": True}},
}
"""What each profile sets otherwise than the passes' own defaults."""
