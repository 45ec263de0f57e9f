"""What older products left: taken in as it is, labelled, and served only where no run is."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import psycopg
from psycopg import sql

from filmgate.core.envelope import LegacyArtifact
from filmgate.core.errors import Invalid, NotFound
from filmgate.core.ids import AssetId
from filmgate.core.questions import Direction, JumpKind
from filmgate.db.queries import queries
from filmgate.db.sessions import Session, composed

OWNERS = ("asset_id", "video_id", "episode_id", "ep_id")
"""The columns by which old tables name assets."""

FILTERS = ("label", "face_cluster_id", "text", "min_confidence")

LegacyRow = tuple[int, int, dict[str, Any]]
"""Start and end in ms, and the payload."""


class LegacyArtifacts:
    """Results without a run, over one connection."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection
        self._session = Session(connection)

    def take_in(
        self, asset_id: AssetId, artifact_type: str, rows: Iterable[LegacyRow], source: str
    ) -> int:
        """Put rows, in order of time, in the place of those of the same asset and type."""
        sql_ = queries("legacy")
        keys = {"asset_id": asset_id, "artifact_type": artifact_type}
        count = 0
        with self._connection.transaction(), self._connection.cursor() as cursor:
            cursor.execute(sql_["lock"], keys)
            cursor.execute(sql_["drop"], keys)
            with cursor.copy(sql_["copy"]) as copy:
                for start, end, payload in rows:
                    text = json.dumps(payload, ensure_ascii=False)
                    copy.write_row((asset_id, artifact_type, count, start, end, text, source))
                    count += 1
        return count

    def rows_of_table(self, name: str, asset_id: AssetId) -> list[dict[str, Any]]:
        """The rows of an asset in a table of an older product, which is only read.

        NotFound where there is no such table, Invalid where none of its columns names assets.
        """
        try:
            found = self._session.all(queries("legacy")["columns"], {"name": name})
        except psycopg.Error:  # no name that a table could have
            found = []
        if not found:
            raise NotFound(
                f"no table {name} in the database",
                expected='schema.table, with "quotes" where its name needs them',
                got=repr(name),
            )
        columns = [row["column_name"] for row in found]
        owner = next((each for each in OWNERS if each in columns), None)
        if owner is None:
            raise Invalid(
                f"nothing in {name} says which asset a row is of",
                expected=f"a column {', '.join(OWNERS)}",
                got=", ".join(columns),
            )
        template = sql.SQL("select to_jsonb(x) as row from {} x where {}::text = %(asset)s")
        statement = template.format(
            sql.SQL(found[0]["quoted"].replace("%", "%%")), sql.Identifier(owner)
        )
        rows = [each["row"] for each in self._session.all(statement, {"asset": asset_id})]
        if not rows:
            raise NotFound(f"no row of {name} is of {asset_id!r}", expected=f"{owner} = {asset_id}")
        return rows

    def nearest(
        self,
        asset_id: AssetId,
        kind: JumpKind,
        direction: Direction,
        from_ms: int,
        filters: Mapping[str, Any],
    ) -> LegacyArtifact | None:
        """The one with the nearest start; None where there is none."""
        asked = dict.fromkeys(FILTERS) | dict(filters) | {"from_ms": from_ms}
        asked |= {"asset_id": asset_id, "artifact_type": kind.artifact_type}
        row = self._session.one(_towards("nearest", direction), asked)
        return _artifact(asset_id, row) if row else None

    def find(
        self, direction: Direction, asked: Mapping[str, Any]
    ) -> list[tuple[LegacyArtifact, str]]:
        """What matches, and its text with marks; asked as runs are."""
        rows = self._session.all(_towards("find", direction), asked)
        return [(_artifact(asked["asset_id"], row), row["marked"]) for row in rows]

    def page(self, asked: Mapping[str, Any]) -> list[LegacyArtifact]:
        """Those that overlap; asked as runs are."""
        rows = self._session.all(composed(queries("legacy")["page"], unchosen=_unchosen()), asked)
        return [_artifact(asked["asset_id"], row) for row in rows]


def _towards(name: str, direction: Direction) -> sql.Composed:
    is_next = direction is Direction.NEXT
    return composed(
        queries("legacy")[name],
        unchosen=_unchosen(),
        beyond=sql.SQL(">" if is_next else "<"),
        nowhere=sql.SQL("-1" if is_next else "9223372036854775807"),
        way=sql.SQL("asc" if is_next else "desc"),
    )


def _unchosen() -> sql.SQL:
    return sql.SQL(queries("legacy")["fragment_unchosen"])


def _artifact(asset_id: str, row: Mapping[str, Any]) -> LegacyArtifact:
    return LegacyArtifact(
        artifact_id=f"{asset_id}:legacy:{row['artifact_type']}:{row['ordinal']}",
        asset_id=asset_id,
        artifact_type=row["artifact_type"],
        span_start_ms=row["span_start_ms"],
        span_end_ms=row["span_end_ms"],
        payload=row["payload"],
        source=row["source"],
    )
