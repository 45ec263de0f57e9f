"""Convert rows to envelopes and search hits."""

from filmgate.core.answers import Hit
from filmgate.core.database import Row
from filmgate.core.envelope import Envelope, LegacyArtifact, artifact_id

OPEN, CLOSE = "\ue000", "\ue001"
"""Private-use characters around matches; no projection contains them."""
MARKS = f"StartSel={OPEN}, StopSel={CLOSE}"
SNIPPET_OPTIONS = {
    "short": 400,
    "mark_all": f"{MARKS}, HighlightAll=true",
    "mark_part": f"{MARKS}, MaxWords=60, MinWords=30, MaxFragments=1",
}
"""Parameters of `ts_headline`: texts of up to `short` characters are shown whole."""

ENVELOPE_COLUMNS = tuple(name for name in Envelope.model_fields if name != "artifact_id")


def envelope_of(row: Row) -> Envelope:
    """Convert a row to an artifact with its envelope."""
    named = artifact_id(row["asset_id"], row["run_id"], row["artifact_type"], row["ordinal"])
    return Envelope.model_validate(
        {"artifact_id": named} | {name: row[name] for name in ENVELOPE_COLUMNS}
    )


def hit_of(artifact: Envelope | LegacyArtifact, marked: str) -> Hit:
    """Convert a text with marks around matches to a hit with the positions of the matches."""
    snippet, *matches = marked.split(OPEN)
    highlights = []
    for match in matches:
        word, _, rest = match.partition(CLOSE)
        highlights.append((len(snippet), len(snippet) + len(word)))
        snippet += word + rest
    return Hit(artifact=artifact, snippet=snippet, highlights=tuple(highlights))


def has_artifact(row: Row) -> bool:
    """Whether the row contains an artifact, and not only a run."""
    return row["ordinal"] is not None
