"""Paging: cursors, and the check that all pages of a list come from the same runs."""

from collections.abc import Iterable, Mapping, Sequence

from filmgate.core.answers import DataSource
from filmgate.core.database import Row
from filmgate.core.digest import digest_of
from filmgate.core.envelope import Envelope, LegacyArtifact
from filmgate.core.errors import Conflict
from filmgate.core.moments import MAX_MS
from filmgate.core.questions import Cursor

LIST_CURSOR = (str, int, str, int)
"""Types of the fields of a list's cursor: digest of the served runs, start, type, ordinal."""

SEARCH_CURSOR = (int, int, str, int)
"""Types of the fields of a search's cursor: key of the asset, start, type, ordinal."""

AFTER_PARAMETERS = ("after_ms", "after_type", "after_ordinal")
"""The SQL parameters for the position in a cursor."""

GREATEST_KEY = 2**31 - 1
AFTER_LAST = [MAX_MS + 1, "", 0]
"""The position after all artifacts that an asset can have."""


def served_runs(rows: Iterable[Row], expected: str | None) -> tuple[dict[str, str], str]:
    """Return the run of each type, and a digest of the served runs.

    Raises Conflict if the digest differs from that of the page before, `expected`.
    """
    runs = {row["artifact_type"]: row["run_id"] for row in rows}
    served = sorted(
        {
            (
                row["artifact_type"],
                row["run_key"],
                row["created_at"].timestamp(),
                row["only_ordinal"],
            )
            for row in rows
        },
        key=str,
    )
    digest = digest_of(served)[-16:]
    if expected is not None and expected != digest:
        raise Conflict(
            "the served runs changed since the page before",
            expected="the same unchanged runs on every page",
            got=", ".join(f"{name} from {run}" for name, run in sorted(runs.items())) or "none",
            hint="Start again at the first page; pin a run to keep it",
        )
    return dict(sorted(runs.items())), digest


def next_cursor(
    found: Sequence[Envelope | LegacyArtifact], limit: int, question: object, digest: str
) -> str | None:
    """Return the cursor after a page of `limit` artifacts; None if no more were found."""
    return Cursor.after_page(found, limit, question, lambda artifact: [digest, *sort_key(artifact)])


def sort_key(artifact: Envelope | LegacyArtifact) -> list[object]:
    """Return the sort key of an artifact in a list: start, type, ordinal."""
    ordinal = int(artifact.artifact_id.rpartition(":")[2])
    return [artifact.span_start_ms, artifact.artifact_type, ordinal]


def data_source_of(
    artifacts: Iterable[Envelope | LegacyArtifact], runs: Mapping[str, str], *, has_legacy: bool
) -> DataSource:
    """Return `legacy` if any artifact is a legacy artifact, or if the asset has legacy artifacts
    and no runs; else return `artifact`."""
    is_legacy = any(isinstance(artifact, LegacyArtifact) for artifact in artifacts)
    is_all = has_legacy and not runs
    return DataSource.LEGACY if is_legacy or is_all else DataSource.ARTIFACT
