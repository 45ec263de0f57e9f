"""Serving: jump, find, search and lists, over what a selection chooses."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn

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
)
from filmgate.core.selection import DEFAULT, Selection
from filmgate.db import searching, statements
from filmgate.db.asking import askable, check_numbers
from filmgate.db.hits import SNIPPETS, envelope_of, hit_of, is_there
from filmgate.db.legacy import LegacyArtifacts
from filmgate.db.paging import (
    AFTER,
    PLACE,
    next_cursor,
    place_of,
    runs_in,
    source_of,
)
from filmgate.db.queries import queries
from filmgate.db.sessions import Session, storable, storable_text


class Serving:
    """Answers over one connection."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._session = Session(connection)
        self._legacy = LegacyArtifacts(connection)

    def jump(
        self,
        asset_id: AssetId,
        kind: JumpKind,
        direction: Direction,
        from_ms: int,
        filters: JumpFilters = NO_FILTERS,
        selection: Selection = DEFAULT,
    ) -> JumpAnswer:
        """The artifact with the nearest start before or after `from_ms`; NotFound where none.

        Of several that start together, the first by ordinal, whichever way one comes.
        """
        check_numbers(1, from_ms)
        given = {
            name: askable(value) if isinstance(value, str) else value
            for name, value in filters.given(kind).items()
        }
        is_default = selection.mode is SelectionMode.DEFAULT
        asked = {"asset_id": asset_id, "artifact_type": kind.artifact_type, "from_ms": from_ms}
        if not is_default:
            asked |= {"artifact_types": [kind.artifact_type], **_chosen(selection)}
        row = self._session.one(
            statements.jump(kind, direction, tuple(given), is_default=is_default), asked | given
        )
        answer = {
            "asset_id": asset_id,
            "kind": kind,
            "direction": direction,
            "from_ms": from_ms,
            "filters": filters.model_copy(update=given),
        }
        if row is not None and row["ordinal"] is not None:
            runs = {row["artifact_type"]: row["run_id"]}
            return JumpAnswer(**answer, runs=runs, artifact=envelope_of(row))
        if row is None and is_default:
            legacy = self._legacy.nearest(asset_id, kind, direction, from_ms, given)
            if legacy is not None:
                source = DataSource.LEGACY
                return JumpAnswer(**answer, runs={}, data_source=source, artifact=legacy)
        if row is None:
            self._refuse_unserved(asset_id, kind, selection)
        way = "after" if direction is Direction.NEXT else "before"
        such = "".join(f", {name} {value!r}" for name, value in given.items())
        raise NotFound(f"no {kind.value}{such} starts {way} {from_ms} ms in {asset_id}")

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
        """What was said or shown that matches `query`, in web search syntax; any text is safe.

        Raises NotFound for an unknown asset (one without texts has no hits), UsageError for a
        query of over 10,000 characters or a cursor of another question, and Conflict where what
        is served changed since the page before.
        """
        query = askable(query)
        check_numbers(limit, from_ms)
        types = source.artifact_types
        question = ["find", asset_id, query, source, direction, from_ms, _told(selection)]
        mark, *place = Cursor.read(cursor, question, PLACE) if cursor else [None] * len(PLACE)
        is_default = selection.mode is SelectionMode.DEFAULT
        asked = {
            "asset_id": asset_id,
            "artifact_types": list(types),
            "query": query,
            "from_ms": from_ms,
            "limit": limit + 1,
            **dict(zip(AFTER, place, strict=True)),
            **SNIPPETS,
            **_chosen(selection),
        }
        rows = self._session.all(statements.find(direction, types, is_default=is_default), asked)
        runs, mark = runs_in(rows, mark)
        hits = [hit_of(envelope_of(row), row["marked"]) for row in rows if is_there(row)]
        has_legacy = self._has_legacy(asset_id, rows) and is_default
        if has_legacy:
            left = self._legacy.find(direction, asked | {"runs_have": list(runs)})
            hits += [hit_of(artifact, marked) for artifact, marked in left]
            is_prev = direction is Direction.PREV
            hits.sort(key=lambda hit: place_of(hit.artifact), reverse=is_prev)
        return FindAnswer(
            asset_id=asset_id,
            runs=runs,
            data_source=source_of(
                (hit.artifact for hit in hits[:limit]), runs, has_legacy=has_legacy
            ),
            query=query,
            source=source,
            direction=direction,
            from_ms=from_ms,
            hits=tuple(hits[:limit]),
            next_cursor=next_cursor([hit.artifact for hit in hits], limit, question, mark),
        )

    def search(
        self,
        query: str,
        *,
        source: TextSource = TextSource.ALL,
        limit: int = 20,
        cursor: str | None = None,
    ) -> SearchAnswer:
        """What matches in all assets; see `searching.search`."""
        return searching.search(self._session, query, source=source, limit=limit, cursor=cursor)

    def screentime(self, asset_id: AssetId, selection: Selection = DEFAULT) -> ScreentimeAnswer:
        """How long everybody is on screen, in the run that appearances are served from.

        A name given by hand wins over what the run recognised. Raises NotFound for an unknown
        asset, and where no completed run is what was chosen.
        """
        kind = JumpKind.PERSON
        asked = {"asset_id": asset_id, "artifact_type": kind.artifact_type}
        is_default = selection.mode is SelectionMode.DEFAULT
        chosen = (
            {} if is_default else {"artifact_types": [kind.artifact_type], **_chosen(selection)}
        )
        run = self._session.one(statements.served_run(is_default=is_default), asked | chosen)
        if run is None:
            self._refuse_unserved(asset_id, kind, selection)
        people = self._session.all(queries("people")["screentime"], asked | run)
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
        """Artifacts of an asset in order of time, those that overlap [from_ms, to_ms).

        An artifact overlaps where it starts before the end and ends after the start; an instant
        where it lies in it. With a producer, a version or a config, the selection chooses among
        the runs that have those. Without types, all that the asset has. Raises NotFound for an
        unknown asset, UsageError for a cursor of another question or a span that is none, and
        Conflict where what is served changed since the page before.
        """
        if from_ms is not None and to_ms is not None and from_ms > to_ms:
            raise UsageError(
                "a span starts before it ends", expected=f"{to_ms} ms or less", got=f"{from_ms} ms"
            )
        check_numbers(limit, from_ms, to_ms)
        made_by = storable(
            {
                "producer": producer,
                "producer_version": producer_version,
                "config_hash": config_hash,
            }
        )
        types = sorted(map(storable_text, set(artifact_types)))
        question = ["artifacts", asset_id, types, from_ms, to_ms, made_by, _told(selection)]
        mark, *place = Cursor.read(cursor, question, PLACE) if cursor else [None] * len(PLACE)
        asked = {
            "asset_id": asset_id,
            "artifact_types": types,
            "from_ms": from_ms,
            "to_ms": to_ms,
            "limit": limit + 1,
            **dict(zip(AFTER, place, strict=True)),
            **_chosen(selection),
            **made_by,
        }
        is_default = selection.mode is SelectionMode.DEFAULT and not any(made_by.values())
        rows = self._session.all(statements.artifacts(is_default=is_default), asked)
        runs, mark = runs_in(rows, mark)
        found: list[Envelope | LegacyArtifact] = [envelope_of(row) for row in rows if is_there(row)]
        has_legacy = self._has_legacy(asset_id, rows) and is_default
        if has_legacy:
            found += self._legacy.page(asked | {"runs_have": list(runs)})
            found.sort(key=place_of)
        return ArtifactPage(
            asset_id=asset_id,
            runs=runs,
            data_source=source_of(found[:limit], runs, has_legacy=has_legacy),
            artifacts=tuple(found[:limit]),
            next_cursor=next_cursor(found, limit, question, mark),
        )

    def check_asset(self, asset_id: AssetId) -> DataSource:
        """Where an asset's answers come from; NotFound where it is not known at all."""
        found = self._session.need(queries("serve")["asset"], {"asset_id": asset_id})
        if found["asset_key"] is None and not found["has_legacy"]:
            raise NotFound(
                f"no asset {asset_id!r} in the database",
                expected="an asset that was ingested",
                hint="filmgate run ingests what it made; filmgate ingest catches up",
            )
        return DataSource.LEGACY if found["has_legacy"] else DataSource.ARTIFACT

    def _has_legacy(self, asset_id: AssetId, rows: Sequence[Mapping[str, Any]]) -> bool:
        """Whether an older product left something of the asset, which must be known."""
        if rows:
            return bool(rows[0]["has_legacy"])
        return self.check_asset(asset_id) is DataSource.LEGACY

    def _refuse_unserved(self, asset_id: AssetId, kind: JumpKind, selection: Selection) -> NoReturn:
        self.check_asset(asset_id)
        asked = {"asset_id": asset_id, "artifact_types": [kind.artifact_type]}
        is_chosen = self._session.need(queries("serve")["is_chosen"], asked)["found"]
        by_choice = is_chosen and selection.mode is SelectionMode.DEFAULT
        hint = f"`filmgate select {asset_id}` shows the choice that was stored, and changes it"
        raise NotFound(
            f"{asset_id} has nothing of kind {kind.value!r}{_words_for(selection)}",
            expected=f"a completed run with {kind.artifact_type} artifacts",
            got="none that was chosen" if by_choice else "none",
            hint=hint if by_choice else f"`filmgate profiles {asset_id}` lists what there is",
        )


def _told(selection: Selection) -> dict[str, Any]:
    return storable(selection.model_dump(mode="python")) | {"mode": selection.mode.value}


def _chosen(selection: Selection) -> dict[str, Any]:
    """The selection's parameters; no mode means the stored choice."""
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


def _words_for(selection: Selection) -> str:
    match selection.mode:
        case SelectionMode.DEFAULT:
            return ""
        case SelectionMode.PROFILE:
            return f" under profile {selection.profile!r}"
        case SelectionMode.PINNED:
            return f" in run {selection.run_id!r}"
        case _:
            return f" by selection {selection.mode.value!r}"
