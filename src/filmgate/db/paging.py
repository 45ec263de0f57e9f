"""Paging: what a cursor holds, and that a page goes on where the one before ended."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from filmgate.core.answers import DataSource
from filmgate.core.digest import digest_of
from filmgate.core.envelope import Envelope, LegacyArtifact
from filmgate.core.errors import Conflict
from filmgate.core.moments import MAX_MS
from filmgate.core.questions import Cursor

PLACE = (str, int, str, int)
"""What the cursor of a list holds: a mark of the runs it is of, start, type, ordinal."""

FOUND = (int, int, str, int)
"""What the cursor of a search holds: the asset's key, start, type, ordinal."""

AFTER = ("after_ms", "after_type", "after_ordinal")

GREATEST_KEY = 2**31 - 1
BEYOND = [MAX_MS + 1, "", 0]
"""After everything that an asset can have."""


def runs_in(rows: Iterable[Mapping[str, Any]], mark: str | None) -> tuple[dict[str, str], str]:
    """The run of each type, and a mark of all that is served from runs; Conflict where that is
    not what the page before was of."""
    runs = {row["artifact_type"]: row["run_id"] for row in rows}
    served = sorted(
        {
            (
                each["artifact_type"],
                each["run_key"],
                each["created_at"].timestamp(),
                each["only_ordinal"],
            )
            for each in rows
        },
        key=str,
    )
    found = digest_of(served)[-16:]
    if mark is not None and mark != found:
        raise Conflict(
            "what is served changed since the page before",
            expected="the same runs, as they were, on every page",
            got=", ".join(f"{name} from {run}" for name, run in sorted(runs.items())) or "none",
            hint="Begin again; a pinned run stays the same",
        )
    return dict(sorted(runs.items())), found


def next_cursor(
    found: Sequence[Envelope | LegacyArtifact], limit: int, question: Any, mark: str
) -> str | None:
    """The cursor after a page, where more was found than it shows."""
    return Cursor.after(found, limit, question, lambda each: [mark, *place_of(each)])


def place_of(artifact: Envelope | LegacyArtifact) -> list[Any]:
    """What orders artifacts in a list."""
    ordinal = int(artifact.artifact_id.rpartition(":")[2])
    return [artifact.span_start_ms, artifact.artifact_type, ordinal]


def source_of(
    artifacts: Iterable[Envelope | LegacyArtifact], runs: Mapping[str, str], *, has_legacy: bool
) -> DataSource:
    """`legacy` where any of them is, or where there is nothing else: then not all of the answer
    can be trusted alike."""
    is_legacy = any(isinstance(artifact, LegacyArtifact) for artifact in artifacts)
    is_all = has_legacy and not runs
    return DataSource.LEGACY if is_legacy or is_all else DataSource.ARTIFACT
