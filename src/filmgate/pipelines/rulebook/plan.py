"""The plan of the rulebook pipeline: its six passes."""

from filmgate.core.plan import Plan
from filmgate.pipelines.rulebook.pass_a import read_books
from filmgate.pipelines.rulebook.pass_b import split_books
from filmgate.pipelines.rulebook.pass_c import chunk_books
from filmgate.pipelines.rulebook.pass_d import enrich_chunks
from filmgate.pipelines.rulebook.pass_e import link_rules
from filmgate.pipelines.rulebook.pass_f import check_corpus

PLAN = Plan(
    pipeline="rulebook",
    stages=(read_books, split_books, chunk_books, enrich_chunks, link_rules, check_corpus),
    packages="filmgate[rulebook]",
)

PROFILES: dict[str, dict[str, dict[str, bool]]] = {
    "fast": {},
    "balanced": {},
    "high_quality": {"D": {"embeddings": True}},
}
"""Settings in which each profile differs from the defaults of the passes, by pass."""
