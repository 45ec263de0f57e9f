"""Queries of served artifacts: jump, find, search, list and screen time."""

from collections.abc import Iterable, Sequence
from typing import NoReturn

import psycopg

from filmgate.core.answers import (
    ArtifactPage,
    DataSource,
    FindAnswer,
    JumpAnswer,
    PersonTimeAnswer,
    ScreentimeAnswer,
    SearchAnswer,
)
from filmgate.core.database import Plans, Row
from filmgate.core.envelope import Envelope, LegacyArtifact
from filmgate.core.errors import NotFound, UsageError
from filmgate.core.ids import AssetId
from filmgate.core.jump_filters import NO_FILTERS, JumpFilters
from filmgate.core.questions import (
    Cursor,
    Direction,
    JumpKind,
    SelectionMode,
    TextSource,
    artifact_type_of,
)
from filmgate.core.selection import DEFAULT, Selection
from filmgate.db import searching, statements
from filmgate.db.legacy import LegacyArtifacts
from filmgate.db.paging import (
    AFTER_PARAMETERS,
    LIST_CURSOR,
    data_source_of,
    next_cursor,
    served_runs,
    sort_key,
)
from filmgate.db.queries import queries
from filmgate.db.query_limits import check_limits, storable_query
from filmgate.db.search_hits import SNIPPET_OPTIONS, envelope_of, has_artifact, hit_of
from filmgate.db.sessions import DatabaseSession, storable_parameters, storable_text


class ArtifactQueries:
    """Queries artifacts over one connection. A selection chooses the run that serves each type."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._session = DatabaseSession(connection, Plans.GENERIC)
        self._legacy = LegacyArtifacts(connection)

    def jump(
        self,
        asset_id: AssetId,
        kind: str,
        direction: Direction,
        from_ms: int,
        filters: JumpFilters = NO_FILTERS,
        selection: Selection = DEFAULT,
    ) -> JumpAnswer:
        """Return the artifact with the nearest start before or after `from_ms`.

        `kind`: a `JumpKind` or an artifact type. If several start at the same time, the one with
        the lowest ordinal is returned, in both directions. Raises NotFound if the artifact does not
        exist.
        """
        check_limits(1, from_ms)
        conditions = {
            name: storable_query(value) if isinstance(value, str) else value
            for name, value in filters.for_kind(kind).items()
        }
        is_default = selection.mode is SelectionMode.DEFAULT
        artifact_type = artifact_type_of(kind)
        parameters = {"asset_id": asset_id, "artifact_type": artifact_type, "from_ms": from_ms}
        if not is_default:
            parameters |= {"artifact_types": [artifact_type], **_selection_params(selection)}
        row = self._session.one(
            statements.jump(artifact_type, direction, tuple(conditions), is_default=is_default),
            parameters | conditions,
        )
        answer = {
            "asset_id": asset_id,
            "kind": kind,
            "direction": direction,
            "from_ms": from_ms,
            "filters": filters.model_copy(update=conditions),
        }
        if row is not None and row["ordinal"] is not None:
            runs = {row["artifact_type"]: row["run_id"]}
            return JumpAnswer(**answer, runs=runs, artifact=envelope_of(row))
        if row is None and is_default:
            legacy = self._legacy.nearest(asset_id, artifact_type, direction, from_ms, conditions)
            if legacy is not None:
                source = DataSource.LEGACY
                return JumpAnswer(**answer, runs={}, data_source=source, artifact=legacy)
        if row is None:
            self._raise_unserved(asset_id, kind, selection)
        where = "after" if direction is Direction.NEXT else "before"
        which = "".join(f", {name} {value!r}" for name, value in conditions.items())
        raise NotFound(f"no {kind}{which} starts {where} {from_ms} ms in {asset_id}")

    def find(
        self,
        asset_id: AssetId,
        query: str,
        *,
        source: TextSource = TextSource.TRANSCRIPT,
        direction: Direction = Direction.NEXT,
        from_ms: int | None = None,
        limit: int = 20,
        cursor: str | None = None,
        selection: Selection = DEFAULT,
    ) -> FindAnswer:
        """Find spoken or displayed texts that match `query`, in web search syntax.

        Any text is a valid query. An asset without texts yields no hits. Raises NotFound for an
        unknown asset, UsageError for a query of over 10,000 characters or a cursor of another
        query, and Conflict if the served runs changed since the page before.
        """
        query = storable_query(query)
        check_limits(limit, from_ms)
        types = source.artifact_types
        question = ["find", asset_id, query, source, direction, from_ms, _as_dict(selection)]
        digest, *position = (
            Cursor.decode(cursor, question, LIST_CURSOR) if cursor else [None] * len(LIST_CURSOR)
        )
        is_default = selection.mode is SelectionMode.DEFAULT
        parameters = {
            "asset_id": asset_id,
            "artifact_types": list(types),
            "query": query,
            "from_ms": from_ms,
            "limit": limit + 1,
            **dict(zip(AFTER_PARAMETERS, position, strict=True)),
            **SNIPPET_OPTIONS,
            **_selection_params(selection),
        }
        statement = statements.find(direction, types, is_default=is_default)
        rows = self._session.all(statement, parameters)
        runs, digest = served_runs(rows, digest)
        hits = [hit_of(envelope_of(row), row["marked"]) for row in rows if has_artifact(row)]
        has_legacy = self._has_legacy(asset_id, rows) and is_default
        if has_legacy:
            matches = self._legacy.find(direction, parameters | {"served_types": list(runs)})
            hits += [hit_of(artifact, marked) for artifact, marked in matches]
            is_prev = direction is Direction.PREV
            hits.sort(key=lambda hit: sort_key(hit.artifact), reverse=is_prev)
        return FindAnswer(
            asset_id=asset_id,
            runs=runs,
            data_source=data_source_of(
                (hit.artifact for hit in hits[:limit]), runs, has_legacy=has_legacy
            ),
            query=query,
            source=source,
            direction=direction,
            from_ms=from_ms,
            hits=tuple(hits[:limit]),
            next_cursor=next_cursor([hit.artifact for hit in hits], limit, question, digest),
        )

    def search(
        self,
        query: str,
        *,
        source: TextSource = TextSource.ALL,
        limit: int = 20,
        cursor: str | None = None,
    ) -> SearchAnswer:
        """Search the texts of all assets; see `searching.search`."""
        return searching.search(self._session, query, source=source, limit=limit, cursor=cursor)

    def screentime(self, asset_id: AssetId, selection: Selection = DEFAULT) -> ScreentimeAnswer:
        """Return the screen time of all people, from the run that serves their appearances.

        A name given by hand takes precedence over a recognised one. Raises NotFound for an unknown
        asset, and if no completed run matches the selection.
        """
        kind = JumpKind.PERSON
        parameters: dict[str, object] = {"asset_id": asset_id, "artifact_type": kind.artifact_type}
        is_default = selection.mode is SelectionMode.DEFAULT
        if not is_default:
            parameters |= {"artifact_types": [kind.artifact_type], **_selection_params(selection)}
        run = self._session.one(statements.served_run(is_default=is_default), parameters)
        if run is None:
            self._raise_unserved(asset_id, kind, selection)
        people = self._session.all(queries("people")["screentime"], parameters | run)
        return ScreentimeAnswer(
            asset_id=asset_id,
            runs={kind.artifact_type: run["run_id"]},
            people=tuple(PersonTimeAnswer.model_validate(person) for person in people),
        )

    def artifacts(
        self,
        asset_id: AssetId,
        *,
        artifact_types: Iterable[str] = (),
        from_ms: int | None = None,
        to_ms: int | None = None,
        producer: str | None = None,
        producer_version: str | None = None,
        config_hash: str | None = None,
        selection: Selection = DEFAULT,
        limit: int = 1000,
        cursor: str | None = None,
    ) -> ArtifactPage:
        """List the artifacts of an asset that overlap [from_ms, to_ms), sorted by time.

        An artifact overlaps if it starts before the end and ends after the start; an artifact
        without duration overlaps if from_ms <= start < to_ms. With a producer, a version or a
        config, the selection applies only to runs that have them. Without types, all are listed.
        Raises NotFound for an unknown asset, UsageError for a cursor of another query or a span
        that ends before it starts, and Conflict if the served runs changed since the page before.
        """
        if from_ms is not None and to_ms is not None and from_ms > to_ms:
            raise UsageError(
                "the span ends before it starts",
                expected=f"a start of {to_ms} ms or less",
                got=f"{from_ms} ms",
            )
        check_limits(limit, from_ms, to_ms)
        provenance = storable_parameters(
            {
                "producer": producer,
                "producer_version": producer_version,
                "config_hash": config_hash,
            }
        )
        types = sorted(map(storable_text, set(artifact_types)))
        question = ["artifacts", asset_id, types, from_ms, to_ms, provenance, _as_dict(selection)]
        digest, *position = (
            Cursor.decode(cursor, question, LIST_CURSOR) if cursor else [None] * len(LIST_CURSOR)
        )
        parameters = {
            "asset_id": asset_id,
            "artifact_types": types,
            "from_ms": from_ms,
            "to_ms": to_ms,
            "limit": limit + 1,
            **dict(zip(AFTER_PARAMETERS, position, strict=True)),
            **_selection_params(selection),
            **provenance,
        }
        is_default = selection.mode is SelectionMode.DEFAULT and not any(provenance.values())
        rows = self._session.all(statements.artifacts(is_default=is_default), parameters)
        runs, digest = served_runs(rows, digest)
        found: list[Envelope | LegacyArtifact] = [
            envelope_of(row) for row in rows if has_artifact(row)
        ]
        has_legacy = self._has_legacy(asset_id, rows) and is_default
        if has_legacy:
            found += self._legacy.page(parameters | {"served_types": list(runs)})
            found.sort(key=sort_key)
        return ArtifactPage(
            asset_id=asset_id,
            runs=runs,
            data_source=data_source_of(found[:limit], runs, has_legacy=has_legacy),
            artifacts=tuple(found[:limit]),
            next_cursor=next_cursor(found, limit, question, digest),
        )

    def check_asset(self, asset_id: AssetId) -> DataSource:
        """Return `legacy` if an asset has legacy artifacts, else `artifact`.

        Raises NotFound if the asset is unknown.
        """
        found = self._session.one_required(queries("serve")["asset"], {"asset_id": asset_id})
        if found["asset_key"] is None and not found["has_legacy"]:
            raise NotFound(
                f"asset {asset_id!r} is not in the database",
                expected="an asset with an ingested run",
                hint="Ingest its runs with `filmgate ingest`; `filmgate run` does so at its end",
            )
        return DataSource.LEGACY if found["has_legacy"] else DataSource.ARTIFACT

    def _has_legacy(self, asset_id: AssetId, rows: Sequence[Row]) -> bool:
        """Whether the asset has legacy artifacts; raises NotFound if the asset is unknown."""
        if rows:
            return bool(rows[0]["has_legacy"])
        return self.check_asset(asset_id) is DataSource.LEGACY

    def _raise_unserved(self, asset_id: AssetId, kind: str, selection: Selection) -> NoReturn:
        self.check_asset(asset_id)
        artifact_type = artifact_type_of(kind)
        parameters = {"asset_id": asset_id, "artifact_types": [artifact_type]}
        row = self._session.one_required(queries("serve")["has_selection"], parameters)
        by_selection = row["found"] and selection.mode is SelectionMode.DEFAULT
        hint = f"Show or change the stored selection with `filmgate select {asset_id}`"
        raise NotFound(
            f"{asset_id} has no {str(kind)!r} artifacts{_describe(selection)}",
            expected=f"a completed run with {artifact_type} artifacts",
            got="no run that matches the stored selection" if by_selection else "no such run",
            hint=hint
            if by_selection
            else f"List the completed runs with `filmgate profiles {asset_id}`",
        )


def _as_dict(selection: Selection) -> dict[str, object]:
    return storable_parameters(selection.model_dump(mode="python")) | {"mode": selection.mode.value}


def _selection_params(selection: Selection) -> dict[str, object]:
    """Return the SQL parameters of a selection; mode None means the stored selection."""
    is_stored = selection.mode is SelectionMode.DEFAULT
    return {
        "mode": None if is_stored else selection.mode.value,
        "profile": selection.profile,
        "run_id": selection.run_id,
        "ordinal": selection.ordinal,
        "producer": None,
        "producer_version": None,
        "config_hash": None,
    }


def _describe(selection: Selection) -> str:
    match selection.mode:
        case SelectionMode.DEFAULT:
            return ""
        case SelectionMode.PROFILE:
            return f" under profile {selection.profile!r}"
        case SelectionMode.PINNED:
            return f" in run {selection.run_id!r}"
        case _:
            return f" by selection {selection.mode.value!r}"
