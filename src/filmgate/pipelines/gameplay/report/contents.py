"""What a report of a quality manifest tells, as values."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from filmgate.core.gameplay import ARCHIVE, PT

Row = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Flagged:
    """A session that a check flagged."""

    s3_key: str
    video_id: str
    pt_key: str
    evidence: Mapping[str, Any]
    severity: float


@dataclass(frozen=True, kw_only=True)
class CheckShare:
    """What a check said of all sessions."""

    name: str
    flagged: int
    judged: int
    worst: tuple[Flagged, ...]

    @property
    def share(self) -> float:
        """Of those that were judged, 0 to 1."""
        return self.flagged / self.judged if self.judged else 0.0


@dataclass(frozen=True, kw_only=True)
class Kind:
    """Items that failed in one way."""

    code: str
    count: int
    example: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Contents:
    """A whole report."""

    title: str
    rows: int
    failed: int
    clean: int
    """Sessions that no check flagged."""
    menu_mean: float | None
    """The mean of `video_menu_percent`, 0 to 1."""
    checks: tuple[CheckShare, ...]
    kinds: tuple[Kind, ...]


def contents(title: str, rows: Iterable[Row], *, worst: int) -> Contents:
    """The report of a table's rows: each check with the sessions it flagged, `worst` of them, the
    worst first."""
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
    return Contents(
        title=title,
        rows=len(all_rows),
        failed=len(all_rows) - len(good),
        clean=sum(all(row.get(name) is not True for name in names) for row in good),
        menu_mean=sum(menus) / len(menus) if menus else None,
        checks=tuple(sorted(shares, key=lambda each: (-each.share, each.name))),
        kinds=tuple(_kinds(all_rows)),
    )


def _is_judged(row: Row) -> bool:
    """Whether there is something said of a session: also where a check or two broke."""
    return row.get("error") is None or row.get("error_code") == "check_failed"


def _checks(rows: Sequence[Row]) -> list[str]:
    """The columns that say yes or no."""
    if not rows:
        return []
    return [name for name in rows[0] if any(isinstance(row.get(name), bool) for row in rows)]


def _worst(name: str, rows: Iterable[Row]) -> list[Flagged]:
    flagged = (
        Flagged(
            s3_key=row["s3_key"],
            video_id=row["video_id"],
            pt_key=pt_key(row),
            evidence=(told := dict(row.get(f"{name}_evidence") or {})),
            severity=float(told.pop("severity", 0.0) or 0.0),
        )
        for row in rows
    )
    return sorted(flagged, key=lambda each: (-each.severity, each.s3_key, each.video_id))


def _kinds(rows: Sequence[Row]) -> Iterator[Kind]:
    bad = [row for row in rows if row.get("error") is not None]
    counts = Counter(_code(row) for row in bad)
    for code, count in sorted(counts.items(), key=lambda each: (-each[1], each[0])):
        first = next(row for row in bad if _code(row) == code)
        yield Kind(code=code, count=count, example=first["s3_key"], message=first["error"])


def _code(row: Row) -> str:
    """The kind of an error; of a table of v1, which has none, the error itself."""
    return str(row.get("error_code") or row["error"])


def pt_key(row: Row) -> str:
    """The key of the `.pt` file of a row: beside the archive, called as the video is."""
    folder = PurePosixPath(row["s3_key"].removesuffix(ARCHIVE)).parent
    return str(folder / f"{row['video_id']}{PT}")
