"""Contents of a report: values that summarise a quality manifest."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from pydantic import JsonValue

from filmgate.pipelines.gameplay.contracts import ARCHIVE_SUFFIX, PT_SUFFIX

Row = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class FlaggedSession:
    """A session that a check flagged."""

    s3_key: str
    video_id: str
    pt_key: str
    evidence: Mapping[str, JsonValue]
    severity: float


@dataclass(frozen=True, kw_only=True)
class CheckShare:
    """The result of a check over all sessions."""

    name: str
    flagged: int
    """Number of sessions that the check flagged."""
    judged: int
    """Number of sessions that the check was run on."""
    worst: tuple[FlaggedSession, ...]
    """The most severe flagged sessions."""

    @property
    def share(self) -> float:
        """Share of flagged sessions, 0 to 1."""
        return self.flagged / self.judged if self.judged else 0.0


@dataclass(frozen=True, kw_only=True)
class FailureKind:
    """The items that failed with the same error code."""

    code: str
    count: int
    example: str
    message: str


@dataclass(frozen=True, kw_only=True)
class ReportContents:
    """The contents of a report."""

    title: str
    rows: int
    failed: int
    """Number of items that failed."""
    clean: int
    """Number of sessions that no check flagged."""
    menu_mean: float | None
    """Mean of `video_menu_percent`, 0 to 1."""
    checks: tuple[CheckShare, ...]
    failure_kinds: tuple[FailureKind, ...]


def summarise_table(title: str, rows: Iterable[Row], *, worst: int) -> ReportContents:
    """Summarise the rows of a table. `worst`: number of flagged sessions to list per check."""
    all_rows = list(rows)
    good = [row for row in all_rows if _is_judged(row)]
    names = _checks(all_rows)
    flags = {name: [row for row in good if row.get(name) is True] for name in names}
    menus = [row["video_menu_percent"] for row in good if row.get("video_menu_percent") is not None]
    shares = (
        CheckShare(
            name=name,
            flagged=len(flags[name]),
            judged=sum(row.get(name) is not None for row in good),
            worst=tuple(_worst(name, flags[name])[:worst]),
        )
        for name in names
    )
    return ReportContents(
        title=title,
        rows=len(all_rows),
        failed=len(all_rows) - len(good),
        clean=sum(all(row.get(name) is not True for name in names) for row in good),
        menu_mean=sum(menus) / len(menus) if menus else None,
        checks=tuple(sorted(shares, key=lambda check: (-check.share, check.name))),
        failure_kinds=tuple(_failure_kinds(all_rows)),
    )


def _is_judged(row: Row) -> bool:
    """Whether a row has check results, even if some of its checks failed."""
    return row.get("error") is None or row.get("error_code") == "check_failed"


def _checks(rows: Sequence[Row]) -> list[str]:
    """Return the names of the columns with boolean values."""
    if not rows:
        return []
    return [name for name in rows[0] if any(isinstance(row.get(name), bool) for row in rows)]


def _worst(name: str, rows: Iterable[Row]) -> list[FlaggedSession]:
    flagged = (
        FlaggedSession(
            s3_key=row["s3_key"],
            video_id=row["video_id"],
            pt_key=pt_key(row),
            evidence=(evidence := dict(row.get(f"{name}_evidence") or {})),
            severity=float(evidence.pop("severity", 0.0) or 0.0),
        )
        for row in rows
    )
    return sorted(flagged, key=lambda one: (-one.severity, one.s3_key, one.video_id))


def _failure_kinds(rows: Sequence[Row]) -> Iterator[FailureKind]:
    bad = [row for row in rows if row.get("error") is not None]
    counts = Counter(_code(row) for row in bad)
    for code, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        first = next(row for row in bad if _code(row) == code)
        yield FailureKind(code=code, count=count, example=first["s3_key"], message=first["error"])


def _code(row: Row) -> str:
    """Return the error code of a row; a table of v1 has none, so the message is used there."""
    return str(row.get("error_code") or row["error"])


def pt_key(row: Row) -> str:
    """Return the key of a row's `.pt` file: beside the archive, with the name of the video."""
    folder = PurePosixPath(row["s3_key"].removesuffix(ARCHIVE_SUFFIX)).parent
    return str(folder / f"{row['video_id']}{PT_SUFFIX}")
