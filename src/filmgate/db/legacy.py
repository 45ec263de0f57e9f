"""Legacy artifacts of older products: stored unchanged, served for types that no run serves."""

import json
from collections.abc import Iterable

import psycopg
from psycopg import sql

from filmgate.core.database import Parameters, Plans, Row
from filmgate.core.envelope import LegacyArtifact
from filmgate.core.errors import Invalid, NotFound
from filmgate.core.ids import AssetId
from filmgate.core.questions import Direction
from filmgate.db.queries import queries
from filmgate.db.sessions import DatabaseSession, compose

ASSET_COLUMNS = ("asset_id", "video_id", "episode_id", "ep_id")
"""Names of the column with the asset's id in tables of older products, tried in this order."""

FILTERS = ("label", "face_cluster_id", "text", "min_confidence")

LegacyRow = tuple[int, int, Row]
"""Start and end in milliseconds, and the payload."""


class LegacyArtifacts:
    """Stores and queries artifacts that have no run, over one connection."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection
        self._session = DatabaseSession(connection, Plans.GENERIC)

    def replace(
        self, asset_id: AssetId, artifact_type: str, rows: Iterable[LegacyRow], source: str
    ) -> int:
        """Replace the rows of an asset and type by `rows`, which are sorted by time; return how
        many were written."""
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

    def rows_of_table(self, name: str, asset_id: AssetId) -> list[Row]:
        """Read the rows of an asset in a table of an older product, which does not change.

        Raises NotFound if the table does not exist or has no row of the asset, Invalid if no
        column contains asset ids.
        """
        try:
            found = self._session.all(queries("legacy")["columns"], {"name": name})
        except psycopg.Error:  # not a valid name of a table
            found = []
        if not found:
            raise NotFound(
                f"table {name} does not exist in the database",
                expected='schema.table, with "quotes" where its name needs them',
                got=repr(name),
            )
        columns = [row["column_name"] for row in found]
        owner = next((column for column in ASSET_COLUMNS if column in columns), None)
        if owner is None:
            raise Invalid(
                f"table {name} has no column with the asset's id",
                expected=f"a column named {' or '.join(ASSET_COLUMNS)}",
                got=", ".join(columns),
            )
        template = sql.SQL("select to_jsonb(x) as row from {} x where {}::text = %(asset)s")
        statement = template.format(
            sql.SQL(found[0]["quoted"].replace("%", "%%")), sql.Identifier(owner)
        )
        rows = [found["row"] for found in self._session.all(statement, {"asset": asset_id})]
        if not rows:
            raise NotFound(
                f"table {name} has no row of {asset_id!r}", expected=f"{owner} = {asset_id}"
            )
        return rows

    def nearest(
        self,
        asset_id: AssetId,
        artifact_type: str,
        direction: Direction,
        from_ms: int,
        filters: Parameters,
    ) -> LegacyArtifact | None:
        """Return the artifact with the nearest start before or after `from_ms`; None if none
        passes the filters."""
        parameters = dict.fromkeys(FILTERS) | dict(filters) | {"from_ms": from_ms}
        parameters |= {"asset_id": asset_id, "artifact_type": artifact_type}
        row = self._session.one(_directional("nearest", direction), parameters)
        return _artifact(asset_id, row) if row else None

    def find(
        self, direction: Direction, parameters: Parameters
    ) -> list[tuple[LegacyArtifact, str]]:
        """Return matches with marked texts; the parameters are those of `ArtifactQueries.find`."""
        rows = self._session.all(_directional("find", direction), parameters)
        return [(_artifact(parameters["asset_id"], row), row["marked"]) for row in rows]

    def page(self, parameters: Parameters) -> list[LegacyArtifact]:
        """Return a page of overlapping artifacts; parameters as in `ArtifactQueries.artifacts`."""
        statement = compose(queries("legacy")["page"], no_selection=_no_selection())
        rows = self._session.all(statement, parameters)
        return [_artifact(parameters["asset_id"], row) for row in rows]


def _directional(name: str, direction: Direction) -> sql.Composed:
    is_next = direction is Direction.NEXT
    return compose(
        queries("legacy")[name],
        no_selection=_no_selection(),
        beyond=sql.SQL(">" if is_next else "<"),
        before_first=sql.SQL("-1" if is_next else "9223372036854775807"),
        order=sql.SQL("asc" if is_next else "desc"),
    )


def _no_selection() -> sql.SQL:
    return sql.SQL(queries("legacy")["fragment_no_selection"])


def _artifact(asset_id: str, row: Row) -> LegacyArtifact:
    return LegacyArtifact(
        artifact_id=f"{asset_id}:legacy:{row['artifact_type']}:{row['ordinal']}",
        asset_id=asset_id,
        artifact_type=row["artifact_type"],
        span_start_ms=row["span_start_ms"],
        span_end_ms=row["span_end_ms"],
        payload=row["payload"],
        source=row["source"],
    )
