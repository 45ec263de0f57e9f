"""Hits and envelopes: what becomes of rows."""

from collections.abc import Mapping
from typing import Any

from filmgate.core.answers import Hit
from filmgate.core.envelope import Envelope, LegacyArtifact, artifact_id

OPEN, CLOSE = "\ue000", "\ue001"
"""Private-use characters around matches; no projection holds them."""
MARKS = f"StartSel={OPEN}, StopSel={CLOSE}"
SNIPPETS = {
    "short": 400,
    "mark_all": f"{MARKS}, HighlightAll=true",
    "mark_part": f"{MARKS}, MaxWords=60, MinWords=30, MaxFragments=1",
}
"""Texts up to `short` characters are shown whole."""

STORED = tuple(name for name in Envelope.model_fields if name != "artifact_id")


def envelope_of(row: Mapping[str, Any]) -> Envelope:
    """An artifact and what stands in its envelope."""
    named = artifact_id(row["asset_id"], row["run_id"], row["artifact_type"], row["ordinal"])
    return Envelope.model_validate({"artifact_id": named} | {name: row[name] for name in STORED})


def hit_of(artifact: Envelope | LegacyArtifact, marked: str) -> Hit:
    """Turn the marks around matches into positions."""
    snippet, *matches = marked.split(OPEN)
    highlights = []
    for match in matches:
        word, _, rest = match.partition(CLOSE)
        highlights.append((len(snippet), len(snippet) + len(word)))
        snippet += word + rest
    return Hit(artifact=artifact, snippet=snippet, highlights=tuple(highlights))


def is_there(row: Mapping[str, Any]) -> bool:
    """Whether the row has an artifact; else it only tells of a run."""
    return row["ordinal"] is not None
